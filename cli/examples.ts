import { managedHosts } from "../site/schema";
import { columns } from "../text/columns";
import { selectedSite } from "./selected-site";

/** The examples of a help: what is typed, and what it does. */
export const examples = (rows: readonly (readonly [run: string, does: string])[]): string =>
  ["", "Examples:", ...columns(rows).map((line) => `  ${line}`)].join("\n");

/** A host for the examples of a help: of the selected site, where there is one. */
export const exampleHost = (): string => {
  try {
    return managedHosts(selectedSite(undefined).site)[0]?.name ?? "<host>";
  } catch {
    return "<host>";
  }
};
