import type { Json } from "./synthesise";

/** A Kubernetes object as the API takes it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: Json;
}

/** What the Terraform provider calls otherwise than the API: lists are named in the singular. */
const PLURALS: Record<string, string> = { container: "containers", volume: "volumes", volumeMount: "volumeMounts" };

/** Numbers that the provider takes as strings, because they may be left out. */
const NUMBERS = new Set(["runAsUser", "runAsGroup", "ttlSecondsAfterFinished"]);

/** Maps whose keys are the operator's, not fields. */
const FREE_FORM = new Set(["data", "labels", "annotations", "requests", "limits"]);

const camelCase = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** What Terraform makes of a string without expressions. */
const evaluated = (text: string): string => text.replace(/\$\$\{|%%\{/g, (escaped) => escaped.slice(1));

const translate = (value: Json, field = ""): Json => {
  if (typeof value === "string") return NUMBERS.has(field) ? Number(value) : evaluated(value);
  if (Array.isArray(value)) return value.map((each) => translate(each));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => {
    if (FREE_FORM.has(field)) return [key, translate(each)];
    const name = camelCase(key);
    return [PLURALS[name] ?? name, translate(each, name)];
  });
  return Object.fromEntries(entries);
};

/** Terraform's own arguments of a resource. */
const withoutTerraform = ({ "//": _, depends_on, lifecycle, ...arguments_ }: Json): Json => arguments_;

const translated = (stack: Json, type: string, apiVersion: string, kind: string): KubernetesObject[] =>
  Object.values(stack.resource[type] ?? {}).map((resource) => ({
    apiVersion,
    kind,
    ...translate(withoutTerraform(resource)),
  }));

/** What the chart makes of a release. Its template is checked by Helm itself. */
const prometheusRules = (stack: Json): KubernetesObject[] =>
  (Object.values(stack.resource.helm_release ?? {}) as Json[]).map(({ name, namespace, values: [values] }) => {
    const { labels, groups } = JSON.parse(evaluated(values));
    return {
      apiVersion: "monitoring.coreos.com/v1",
      kind: "PrometheusRule",
      metadata: { name, namespace, labels },
      spec: { groups },
    };
  });

/** A Secret whose values come from variables: they are given, because the stack does not hold them. */
const secrets = (stack: Json, variables: Readonly<Record<string, string>>): KubernetesObject[] =>
  (Object.values(stack.resource.kubernetes_secret_v1 ?? {}) as Json[]).map(({ metadata, type, data_wo }) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata,
    type,
    data: Object.fromEntries(
      (Object.entries(data_wo) as [string, string][]).map(([key, reference]) => {
        const name = /^\$\{var\.(\w+)\}$/.exec(reference)?.[1];
        if (name === undefined || variables[name] === undefined)
          throw new Error(`no variable for ${key}: ${reference}`);
        return [key, Buffer.from(variables[name]).toString("base64")];
      }),
    ),
  }));

/**
 * The objects that Terraform's providers would create of a synthesised stack, in an order in which they can be.
 *
 * @param variables values of the stack's Terraform variables; default: none
 */
export const objectsOf = (stack: Json, variables: Readonly<Record<string, string>> = {}): KubernetesObject[] => [
  ...translated(stack, "kubernetes_namespace_v1", "v1", "Namespace"),
  ...translated(stack, "kubernetes_config_map_v1", "v1", "ConfigMap"),
  ...secrets(stack, variables),
  ...translated(stack, "kubernetes_cron_job_v1", "batch/v1", "CronJob"),
  ...prometheusRules(stack),
];

/** The only object of a kind. */
export const onlyOf = (objects: readonly KubernetesObject[], kind: string): KubernetesObject => {
  const [found, ...others] = objects.filter((each) => each.kind === kind);
  if (found === undefined || others.length > 0)
    throw new Error(`${kind}: found ${found ? others.length + 1 : 0}, not one`);
  return found;
};
