import type { KubernetesObject } from "../monitoring/kubernetes-object";

type Fields = Readonly<Record<string, unknown>>;

/** The parts of a synthesized stack that describe objects in the cluster. */
export interface SynthesisedObjects {
  readonly locals?: Readonly<Record<string, string>>;
  /** By type, then by Terraform's name. */
  readonly resource?: Readonly<Record<string, Readonly<Record<string, Fields>>>>;
}

/** Fields that the Terraform provider names differently from the API: its lists are in the singular. */
const NAMES: Readonly<Record<string, string>> = {
  container: "containers",
  rule: "rules",
  subject: "subjects",
  timezone: "timeZone",
  volume: "volumes",
  volumeMount: "volumeMounts",
};

const RBAC = "rbac.authorization.k8s.io/v1";

/** Numbers that the provider takes as strings, because they are optional. */
const NUMBERS: ReadonlySet<string> = new Set(["runAsUser", "runAsGroup", "fsGroup", "ttlSecondsAfterFinished"]);

/** Maps whose keys are free-form rather than fields. */
const FREE_FORM: ReadonlySet<string> = new Set(["data", "labels", "annotations", "requests", "limits"]);

/** Terraform's own arguments of a resource. */
const META_ARGUMENTS: ReadonlySet<string> = new Set(["//", "depends_on", "lifecycle"]);

const camelCase = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** What Terraform evaluates a text without expressions to; see literal. */
const evaluated = (text: string): string => text.replace(/\$\$\{|%%\{/g, (escaped) => escaped.slice(1));

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;

/** Translates the resources of one stack. */
class Translation {
  readonly #stack: SynthesisedObjects;
  constructor(stack: SynthesisedObjects) {
    this.#stack = stack;
  }

  resources(type: string): Fields[] {
    return Object.values(this.#stack.resource?.[type] ?? {});
  }

  objects(type: string, apiVersion: string, kind: string): KubernetesObject[] {
    return this.resources(type).map((resource) => {
      const own = Object.entries(resource).filter(([argument]) => !META_ARGUMENTS.has(argument));
      const { metadata, ...content } = this.#fields(Object.fromEntries(own), "");
      return { apiVersion, kind, metadata: metadata as KubernetesObject["metadata"], ...content };
    });
  }

  /** What Terraform evaluates a text to; the only expression hides a long text from its plans. */
  text(text: string): string {
    const hidden = /^\$\{sensitive\(local\.([\w-]+)\)\}$/.exec(text)?.[1];
    return evaluated(hidden === undefined ? text : (this.#stack.locals?.[hidden] ?? ""));
  }

  /** @param field the path of the value */
  #translated(value: unknown, field: string): unknown {
    if (typeof value === "string") return NUMBERS.has(field) ? Number(value) : this.text(value);
    if (Array.isArray(value)) return value.map((each) => this.#translated(each, ""));
    return isFields(value) ? this.#fields(value, field) : value;
  }

  #fields(fields: Fields, field: string): Fields {
    return Object.fromEntries(
      Object.entries(fields).map(([key, inner]) => {
        if (FREE_FORM.has(field)) return [key, this.#translated(inner, "")];
        const name = camelCase(key);
        return [NAMES[name] ?? name, this.#translated(inner, name)];
      }),
    );
  }
}

interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly create_namespace?: boolean;
  readonly values?: readonly string[];
}

/** The objects created by a release of our charts. */
const objectsOfRelease = (translation: Translation, release: Release): KubernetesObject[] => {
  const { name, namespace, values = [] } = release;
  const created: KubernetesObject[] =
    release.create_namespace === true ? [{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }] : [];
  return [
    ...created,
    ...values.map((text) => {
      const { labels, groups } = JSON.parse(translation.text(text)) as {
        labels: Record<string, string>;
        groups: unknown;
      };
      return {
        apiVersion: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata: { name, namespace, labels },
        spec: { groups },
      };
    }),
  ];
};

/**
 * The objects that Terraform's providers create for a synthesized stack, in a valid order of creation. Secrets are left
 * out: their values are in no stack.
 */
export const objectsOf = (stack: SynthesisedObjects): KubernetesObject[] => {
  const translation = new Translation(stack);
  const ofReleases = translation
    .resources("helm_release")
    .flatMap((release) => objectsOfRelease(translation, release as unknown as Release));
  return [
    ...ofReleases.filter(({ kind }) => kind === "Namespace"),
    ...translation.objects("kubernetes_config_map_v1", "v1", "ConfigMap"),
    ...translation.objects("kubernetes_service_account_v1", "v1", "ServiceAccount"),
    ...translation.objects("kubernetes_cluster_role_v1", RBAC, "ClusterRole"),
    ...translation.objects("kubernetes_cluster_role_binding_v1", RBAC, "ClusterRoleBinding"),
    ...translation.objects("kubernetes_cron_job_v1", "batch/v1", "CronJob"),
    ...ofReleases.filter(({ kind }) => kind !== "Namespace"),
  ];
};
