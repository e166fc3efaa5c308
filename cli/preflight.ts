import { type ClusterSite, hasCluster, type Site } from "../site/schema";
import { ClusterError, Kubectl } from "./kubectl";

/** Whether cdktf was given the stack, by name or by a pattern. */
const isNamed = (stack: string, args: readonly string[]): boolean =>
  args.some((arg) => !arg.startsWith("-") && (arg === stack || arg.includes("*")));

/**
 * Checks that a site's cluster has what it needs, before anything is sent to it.
 *
 * @throws ClusterError with the first thing that is missing
 */
const checkCluster = async (site: ClusterSite): Promise<void> => {
  const kubectl = new Kubectl(site.monitoring);
  const { namespace, rules } = site.monitoring;
  // Queried in any case, because it shows whether the cluster is reachable at all.
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
 * Before `cdktf deploy`: a one-line error if the cluster cannot accept the deployment. Terraform would report it in the middle of
 * the deploy, at length. Terraform does not need kubectl, so without kubectl the check is skipped.
 *
 * @param args of `cdktf deploy`
 * @throws ClusterError
 */
export const preflight = async (site: Site, args: readonly string[]): Promise<void> => {
  if (!isNamed("monitoring", args) || !hasCluster(site)) return;
  try {
    await checkCluster(site);
  } catch (error) {
    // A deployer need not have access to cluster-wide objects.
    const unable = error instanceof ClusterError && (error.code === "no-kubectl" || error.code === "unauthorized");
    if (!unable) throw error;
  }
};
