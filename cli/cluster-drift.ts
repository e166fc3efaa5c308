import type { HostFinding, HostReport } from "../hosts/finding";
import type { KubernetesObject } from "../monitoring/kubernetes-object";
import { objectDifferences } from "../monitoring/object-differences";
import { pushSecret } from "../site/probe-walk";
import { type ClusterSite, clusterProbes, mustReport } from "../site/schema";
import { Kubectl } from "./kubectl";
import { manifestsOf } from "./manifests";

/** How kubectl calls the kinds that the site delivers. */
const RESOURCES: Readonly<Record<string, string>> = {
  ClusterRole: "clusterrole.rbac.authorization.k8s.io",
  ClusterRoleBinding: "clusterrolebinding.rbac.authorization.k8s.io",
  ConfigMap: "configmap",
  CronJob: "cronjob.batch",
  Namespace: "namespace",
  PrometheusRule: "prometheusrule.monitoring.coreos.com",
  ServiceAccount: "serviceaccount",
};

const missing = (what: string): HostFinding => ({ what, expected: "present", actual: "missing" });

/** One line for each key whose value is not empty: the values themselves are for nobody here. */
const KEYS = '{{range $key, $value := .data}}{{if $value}}{{$key}}{{"\\n"}}{{end}}{{end}}';

/** An object that is the operator's, and the keys of it that a probe needs. */
interface Needed {
  readonly resource: "secret" | "configmap";
  readonly name: string;
  readonly keys: readonly string[];
}

const neededBy = (site: ClusterSite): Needed[] =>
  clusterProbes(site).flatMap((probe): Needed[] => {
    const { credentials, certificateAuthority } = probe;
    const secrets =
      credentials === undefined
        ? []
        : [credentials.secret, ...(mustReport(site, probe) ? [pushSecret(credentials)] : [])];
    return [
      ...secrets.map((name): Needed => ({ resource: "secret", name, keys: ["REG_USER", "REG_PASS"] })),
      ...(certificateAuthority === undefined
        ? []
        : [{ resource: "configmap", name: certificateAuthority.configMap, keys: [certificateAuthority.key] } as const]),
    ];
  });

const TITLES = { secret: "Secret", configmap: "ConfigMap" } as const;

const findingsOfKeys = async (kubectl: Kubectl, { resource, name, keys }: Needed): Promise<HostFinding[]> => {
  const what = `${TITLES[resource]} ${name}`;
  const found = await kubectl.get(resource, name, `go-template=${KEYS}{{"-"}}`);
  if (typeof found !== "string") return [missing(what)];
  const present = found.split("\n");
  return keys.filter((key) => !present.includes(key)).map((key) => missing(`${what}: key ${key}`));
};

const findingsOfObject = async (kubectl: Kubectl, expected: KubernetesObject): Promise<HostFinding[]> => {
  const { kind, metadata } = expected;
  const what = `${kind} ${metadata.name}`;
  const found = await kubectl.get(RESOURCES[kind] ?? kind, metadata.name, "json");
  if (found === undefined) return [missing(what)];
  // The definition itself is gone, and every object of its kind with it.
  if (typeof found !== "string") return [missing(`kind ${kind}`)];
  return objectDifferences(expected, JSON.parse(found) as KubernetesObject).map(({ field, ...values }) => ({
    what: `${what}: ${field}`,
    ...values,
  }));
};

/**
 * What of the cluster is not as the site has it. It only reads, and of Secrets only the names of the keys.
 *
 * @throws ClusterError where the cluster cannot be asked
 */
export const clusterReport = async (site: ClusterSite): Promise<HostReport> => {
  const { monitoring } = site;
  const kubectl = new Kubectl(monitoring);
  const host = monitoring.kubernetes.context ?? "cluster";
  const namespace = monitoring.namespace.name;
  if ((await kubectl.get("namespace", namespace, "name")) === undefined)
    return { host, findings: [missing(`Namespace ${namespace}`)] };
  const findings = await Promise.all([
    ...manifestsOf(site)
      .filter(({ kind }) => kind !== "Namespace")
      .map((expected) => findingsOfObject(kubectl, expected)),
    ...neededBy(site).map((needed) => findingsOfKeys(kubectl, needed)),
  ]);
  return { host, findings: findings.flat() };
};
