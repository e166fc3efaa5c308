import { Command } from "commander";
import { stringify } from "yaml";
import type { KubernetesObject } from "../monitoring/kubernetes-object";
import type { ClusterSite } from "../site/schema";
import { operatorObjects } from "./operator-objects";
import { printDocument } from "./output";
import { selectedClusterSite } from "./selected-site";

/** Only commands that use the constructs need CDKTF. */
class MissingPackageError extends Error {
  override readonly name = "MissingPackageError";
  readonly code = "missing-package";
  readonly hint = "run it in a checkout after npm ci, or where the app has cdktf installed";
}

/**
 * The objects of a site in its cluster, from the same constructs that Terraform uses.
 *
 * @throws MissingPackageError if CDKTF is not installed
 */
export const clusterManifests = (site: ClusterSite): KubernetesObject[] => {
  try {
    return (require("../stacks/manifests") as typeof import("../stacks/manifests")).manifestsOf(site);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "MODULE_NOT_FOUND") throw error;
    throw new MissingPackageError(message.split("\n", 1)[0]);
  }
};

/** What the objects need but no manifest contains, as comments. */
const notes = (site: ClusterSite): string[] =>
  operatorObjects(site).map(({ job, isNeeded, kind, name, keys, content }) => {
    const object = `${kind} ${site.monitoring.namespace.name}/${name}`;
    const holds = keys.length === 0 ? "" : ` with the ${keys.length === 1 ? "key" : "keys"} ${keys.join(" and ")}`;
    const of = content === undefined ? "" : `, of ${content}`;
    return `# ${job} ${isNeeded ? "needs" : "takes"} the ${object}${holds}${of}.`;
  });

/** Objects as a stream of YAML documents. */
export const yamlStream = (objects: readonly KubernetesObject[]): string =>
  objects.map((object) => `---\n${stringify(object, { lineWidth: 0 })}`).join("");

/** `warden manifests`. */
export const manifestsCommand = (): Command =>
  new Command("manifests")
    .description("print the objects of the stack monitoring as Kubernetes YAML, for Flux, Argo CD or kubectl")
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .addHelpText(
      "after",
      `
Examples:
  warden manifests                                   the selected site, for kubectl apply --server-side --filename -
  warden manifests --site examples/small/site.ts     another site`,
    )
    .action(({ site: option }: { site?: string }) => {
      const site = selectedClusterSite(option);
      printDocument([...notes(site).map((note) => `${note}\n`), yamlStream(clusterManifests(site))].join(""));
    });
