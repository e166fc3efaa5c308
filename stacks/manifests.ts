import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import { objectsOf, type SynthesisedObjects } from "../constructs/kubernetes-objects";
import type { KubernetesObject } from "../monitoring/kubernetes-object";
import type { ClusterSite } from "../site/schema";
import { MonitoringStack } from "./monitoring-stack";

/**
 * The Kubernetes objects in a site's `monitoring` stack, except Secrets.
 *
 * @param program the text of the CronJobs' program; default: bundled from the sources
 */
export const manifestsOf = (site: ClusterSite, program?: string): KubernetesObject[] => {
  // An app creates its folder immediately, and this must not change cdktf.out.
  const outdir = mkdtempSync(join(tmpdir(), "registry-warden-"));
  try {
    const stack = new MonitoringStack(new App({ outdir }), "monitoring", { site, program });
    stack.prepareStack();
    return objectsOf(stack.toTerraform() as SynthesisedObjects);
  } finally {
    rmSync(outdir, { recursive: true });
  }
};
