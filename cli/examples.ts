import { managedHosts } from "../site/schema";
import { columns } from "../text/columns";
import { selectedSite } from "./selected-site";

/** The examples in a help: the command, and what it does. */
export const examples = (rows: readonly (readonly [run: string, does: string])[]): string =>
  ["", "Examples:", ...columns(rows).map((line) => `  ${line}`)].join("\n");

/** A host for the examples in a help: one of the selected site, if possible. */
export const exampleHost = (): string => {
  try {
    return managedHosts(selectedSite(undefined).site)[0]?.name ?? "<host>";
  } catch {
    return "<host>";
  }
};
