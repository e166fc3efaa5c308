import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import { objectsOf, type SynthesisedObjects } from "../constructs/kubernetes-objects";
import type { KubernetesObject } from "../monitoring/kubernetes-object";
import type { ClusterSite } from "../site/schema";
import { MonitoringStack } from "./monitoring-stack";

/**
 * The Kubernetes objects that the stack `monitoring` of a site delivers, but for Secrets.
 *
 * @param program the text of the CronJobs' program; default: bundled from the sources
 */
export const manifestsOf = (site: ClusterSite, program?: string): KubernetesObject[] => {
  // An app makes its folder at once, and what is in cdktf.out is not ours to change here.
  const outdir = mkdtempSync(join(tmpdir(), "registry-warden-"));
  try {
    const stack = new MonitoringStack(new App({ outdir }), "monitoring", { site, program });
    stack.prepareStack();
    return objectsOf(stack.toTerraform() as SynthesisedObjects);
  } finally {
    rmSync(outdir, { recursive: true });
  }
};
