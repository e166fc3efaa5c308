import type { Document } from "../handbook/document";
import { documentsOf } from "../handbook/handbook";
import type { Site } from "../site/schema";

/** A page of a site's handbook. @throws if there is none at the path */
export const pageOf = (site: Site, path: string): Document => {
  const found = documentsOf(site).find((each) => each.path === path);
  if (found === undefined) throw new Error(`there is no page ${path}`);
  return found;
};
