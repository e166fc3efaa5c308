import { loadSite, siteFile } from "../site/load";
import { type ClusterSite, hasCluster } from "../site/schema";
import { ClusterError, Kubectl } from "./kubectl";
import { messageOf, printError } from "./output";

/** Whether cdktf was asked for the stack: by its name, or by a pattern. */
const isNamed = (stack: string, args: readonly string[]): boolean =>
  args.some((arg) => !arg.startsWith("-") && (arg === stack || arg.includes("*")));

/**
 * What the cluster of a site lacks, before anything is sent to it.
 *
 * @throws ClusterError with the first thing that is missing
 */
export const checkCluster = async (site: ClusterSite): Promise<void> => {
  const kubectl = new Kubectl(site.monitoring);
  const { namespace, rules } = site.monitoring;
  if (!namespace.create && (await kubectl.get("namespace", namespace.name, "name")) === undefined)
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
 * Before `cdktf deploy`: one line where the cluster cannot take what is to be deployed. Terraform would say it in the middle
 * of the deploy, and at length. Terraform needs no kubectl, so that without one it is left to find out.
 *
 * @param args those of `cdktf deploy`
 * @returns the exit code
 */
const preflight = async (args: readonly string[]): Promise<number> => {
  if (!isNamed("monitoring", args)) return 0;
  const site = loadSite(siteFile());
  if (!hasCluster(site)) return 0;
  try {
    await checkCluster(site);
    return 0;
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    // Who may deploy need not be allowed to read what all namespaces share.
    if (error.code === "no-kubectl" || error.code === "unauthorized") return 0;
    printError(`error: ${error.message}; ${error.hint}`);
    return 2;
  }
};

if (require.main === module)
  preflight(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      printError(messageOf(error).split("\n"));
      process.exitCode = 2;
    },
  );
