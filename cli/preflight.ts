import { type ClusterSite, hasCluster, type Site } from "../site/schema";
import { ClusterError, Kubectl } from "./kubectl";

/** Whether cdktf was asked for the stack: by its name, or by a pattern. */
const isNamed = (stack: string, args: readonly string[]): boolean =>
  args.some((arg) => !arg.startsWith("-") && (arg === stack || arg.includes("*")));

/**
 * What the cluster of a site lacks, before anything is sent to it.
 *
 * @throws ClusterError with the first thing that is missing
 */
const checkCluster = async (site: ClusterSite): Promise<void> => {
  const kubectl = new Kubectl(site.monitoring);
  const { namespace, rules } = site.monitoring;
  // Asked for in any case: it tells whether the cluster can be reached at all.
  const found = await kubectl.get("namespace", namespace.name, "name");
  if (!namespace.create && found === undefined)
    throw new ClusterError(
      "missing",
      `the namespace ${namespace.name} does not exist`,
      "create it, or set monitoring.namespace.create to true",
    );
  const definition = "prometheusrules.monitoring.coreos.com";
  if (
    rules.delivery === "prometheus-rule" &&
    (await kubectl.get("customresourcedefinition", definition, "name")) === undefined
  )
    throw new ClusterError(
      "missing",
      "the cluster has no PrometheusRule",
      "install the CRDs of the Prometheus operator, or set monitoring.rules.delivery to rules-file",
    );
};

/**
 * Before `cdktf deploy`: an error of one line where the cluster cannot take what is to be deployed. Terraform would say it in
 * the middle of the deploy, and at length. Terraform needs no kubectl, so that without one it is left to find out.
 *
 * @param args those of `cdktf deploy`
 * @throws ClusterError
 */
export const preflight = async (site: Site, args: readonly string[]): Promise<void> => {
  if (!isNamed("monitoring", args) || !hasCluster(site)) return;
  try {
    await checkCluster(site);
  } catch (error) {
    // Who may deploy need not be allowed to read what all namespaces share.
    const unable = error instanceof ClusterError && (error.code === "no-kubectl" || error.code === "unauthorized");
    if (!unable) throw error;
  }
};
