import type { HostFinding, HostReport } from "../hosts/finding";
import type { KubernetesObject } from "../monitoring/kubernetes-object";
import { objectDifferences } from "../monitoring/object-differences";
import type { ClusterSite } from "../site/schema";
import { Kubectl } from "./kubectl";
import { clusterManifests } from "./manifests";
import { type OperatorObject, operatorObjects } from "./operator-objects";

/** kubectl's names of the kinds in a site. */
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

/** One line for each key with a non-empty value: the values themselves must not be printed. */
const KEYS = '{{range $key, $value := .data}}{{if $value}}{{$key}}{{"\\n"}}{{end}}{{end}}';

const findingsOfKeys = async (kubectl: Kubectl, { kind, name, keys }: OperatorObject): Promise<HostFinding[]> => {
  const what = `${kind} ${name}`;
  const found = await kubectl.get(kind.toLowerCase(), name, `go-template=${KEYS}{{"-"}}`);
  if (typeof found !== "string") return [missing(what)];
  const present = found.split("\n");
  return keys.filter((key) => !present.includes(key)).map((key) => missing(`${what}: key ${key}`));
};

const findingsOfObject = async (kubectl: Kubectl, expected: KubernetesObject): Promise<HostFinding[]> => {
  const { kind, metadata } = expected;
  const what = `${kind} ${metadata.name}`;
  const found = await kubectl.get(RESOURCES[kind] ?? kind, metadata.name, "json");
  if (found === undefined) return [missing(what)];
  // The CRD itself is missing, and with it every object of its kind.
  if (typeof found !== "string") return [missing(`kind ${kind}`)];
  return objectDifferences(expected, JSON.parse(found) as KubernetesObject).map(({ field, ...values }) => ({
    what: `${what}: ${field}`,
    ...values,
  }));
};

/**
 * The differences between the cluster and the site. Read-only, and reads only the names of the keys in Secrets.
 *
 * @throws ClusterError when the cluster is not reachable
 */
export const clusterReport = async (site: ClusterSite): Promise<HostReport> => {
  const { monitoring } = site;
  const kubectl = new Kubectl(monitoring);
  const host = monitoring.kubernetes.context ?? "cluster";
  const namespace = monitoring.namespace.name;
  if ((await kubectl.get("namespace", namespace, "name")) === undefined)
    return { host, findings: [missing(`Namespace ${namespace}`)] };
  const findings = await Promise.all([
    ...clusterManifests(site)
      .filter(({ kind }) => kind !== "Namespace")
      .map((expected) => findingsOfObject(kubectl, expected)),
    ...operatorObjects(site)
      .filter(({ isNeeded }) => isNeeded)
      .map((object) => findingsOfKeys(kubectl, object)),
  ]);
  return { host, findings: findings.flat() };
};
