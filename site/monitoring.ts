import * as z from "zod";
import { baseUrl, count, duplicates, label, oneOf, record, rule, seconds } from "./fields";
import { image } from "./image";

const flag = z.boolean({ error: "allowed is true or false" });

/** Kubernetes label keys and values. https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ */
const kubernetesLabels = z.record(
  z.string().regex(/^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/, {
    error: "allowed is a Kubernetes label key",
  }),
  z
    .string({ error: "allowed is a Kubernetes label value" })
    .regex(/^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/, { error: "allowed is a Kubernetes label value" }),
  { error: "allowed is an object of Kubernetes labels" },
);

const credentials = z.discriminatedUnion(
  "from",
  [
    /** A Secret with the keys REG_USER and REG_PASS that exists already. */
    record({ from: z.literal("existing-secret"), secret: label }),
    /**
     * A Secret that the stack creates from ephemeral Terraform variables, through write-only attributes: the values
     * are in no plan and in no state. They are sent again when the revision is raised.
     */
    record({ from: z.literal("variables"), secret: label, revision: count(1, 1_000_000) }),
  ],
  { error: 'allowed are credentials from an "existing-secret" or from "variables"' },
);

/** Cron can repeat these evenly: every hour starts with a run. */
const PERIODS = [5, 10, 15, 20, 30, 60] as const;

/** What a period has to hold besides the walk: the pod's start, the push and the way to the next run. */
const STARTUP_SECONDS = 60;

const probe = record({
  /** Name of the CronJob and the Pushgateway's job. */
  name: label.refine((name) => name.length <= 52, {
    error: "allowed are at most 52 characters: Kubernetes appends 11 to name the Jobs of a CronJob",
  }),
  /** What it looks at: one of registry.services, or of externalRegistries. */
  service: label,
  periodMinutes: z.literal(PERIODS, { error: `allowed is one of ${PERIODS.join(", ")} (minutes)` }),
  /** A run that is not done by then reports what it has and stops. */
  deadlineSeconds: seconds(60, 3600),
  credentials: credentials.optional(),
  /** A ConfigMap with the private CA of the registry's certificate; the public CAs are trusted where it is left out. */
  certificateAuthority: record({
    configMap: label,
    key: z
      .string({ error: "allowed is a key of the ConfigMap" })
      .regex(/^[\w.-]{1,253}$/, { error: "allowed is a key of the ConfigMap" }),
  }).optional(),
  /** Requests under way at once, over all shards. */
  concurrency: count(1, 8).default(8),
  /** Pods that share one walk, each with its part of the repositories: for a registry that one cannot walk in time. */
  shards: count(1, 8).default(1),
  /** Objects that exist already and are taken over instead of created. */
  adopt: z.array(oneOf(["cron-job", "secret"]), { error: 'allowed is a list of "cron-job", "secret"' }).default([]),
}).check(
  rule(z.object({ periodMinutes: z.number(), deadlineSeconds: z.number() }), ({ periodMinutes, deadlineSeconds }) =>
    deadlineSeconds <= periodMinutes * 60 - STARTUP_SECONDS
      ? undefined
      : `deadlineSeconds ${deadlineSeconds} is not below the period of ${periodMinutes * 60} s by the ${STARTUP_SECONDS} s that start and report take; allowed are at most ${periodMinutes * 60 - STARTUP_SECONDS}: a run that outlives its period suppresses the next one`,
  ),
  rule(z.object({ concurrency: z.number(), shards: z.number() }), ({ concurrency, shards }) =>
    shards <= concurrency
      ? undefined
      : `shards ${shards} share a concurrency of ${concurrency}; allowed are at most ${concurrency}: each needs one request at least`,
  ),
  rule(
    z.object({ adopt: z.array(z.string()), credentials: z.object({ from: z.string() }).optional() }),
    ({ adopt, credentials }) =>
      adopt.includes("secret") && credentials?.from !== "variables"
        ? 'adopt names "secret", but the stack manages none; allowed only with credentials from "variables"'
        : undefined,
  ),
);

/** A registry that the site does not run, as its clients reach it: a Forgejo, a Harbor. It is only probed. */
const externalRegistry = record({
  /** What a probe names it by. */
  name: label,
  url: baseUrl(["https", "http"]).refine((url) => !URL.canParse(url) || url === new URL(url).origin, {
    error: 'allowed is a registry without a path, for example "https://git.example.org"',
  }),
  /** Of a proxy only the catalog is asked for. */
  role: oneOf(["private", "proxy"]),
});

const rules = z.discriminatedUnion(
  "delivery",
  [
    /** A PrometheusRule, by a Helm release of the local chart. The labels have to match the operator's ruleSelector. */
    record({
      delivery: z.literal("prometheus-rule"),
      labels: kubernetesLabels.default({}),
      adopt: flag.default(false),
    }),
    /** A plain rules file in a ConfigMap, for a Prometheus without the operator. */
    record({ delivery: z.literal("rules-file"), labels: kubernetesLabels.default({}), adopt: flag.default(false) }),
  ],
  { error: 'allowed is the delivery "prometheus-rule" or "rules-file"' },
);

export const monitoring = record({
  kubernetes: record({
    configPath: z
      .string({ error: 'allowed is a path, for example "~/.kube/config"' })
      .regex(/^(~\/|\/)[^\s"'$%`\\]+$/, {
        error: 'allowed is an absolute path or one below "~/", for example "~/.kube/config"',
      }),
    context: z
      .string({ error: "allowed is a context of the kubeconfig" })
      .min(1, { error: "allowed is a context of the kubeconfig" })
      .optional(),
  }),
  namespace: record({ name: label, create: flag.default(false) }),
  pushgateway: baseUrl(["http", "https"]),
  rules,
  /** A Grafana dashboard as a ConfigMap, with the labels that Grafana's sidecar looks for; none where it is left out. */
  dashboard: record({ labels: kubernetesLabels }).optional(),
  /** The pages of the alerts are below this address, one named after each. */
  runbooks: baseUrl(["https", "http"]),
  /** A stock Node image; the program comes from a ConfigMap. */
  probeImage: image,
  externalRegistries: z
    .array(externalRegistry, { error: "allowed is a list of registries that the site does not run" })
    .default([]),
  probes: z.array(probe, { error: "allowed is a list of probes" }).min(1, { error: "allowed is at least one probe" }),
}).check(
  rule(z.object({ probes: z.array(z.object({ name: z.string(), service: z.string() })) }), ({ probes }) => {
    const twice = [...duplicates(probes.map(({ name }) => name)), ...duplicates(probes.map(({ service }) => service))];
    return twice.length === 0
      ? undefined
      : `probe or service ${twice.join(", ")} is declared more than once; allowed is one probe of a name and of a service: rename or remove one`;
  }),
);

export type Monitoring = z.output<typeof monitoring>;
export type Probe = Monitoring["probes"][number];
export type ExternalRegistry = Monitoring["externalRegistries"][number];
export type ProbeCredentials = NonNullable<Probe["credentials"]>;
export type RulesDelivery = Monitoring["rules"];
