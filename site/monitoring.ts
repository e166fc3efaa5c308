import * as z from "zod";
import {
  absolutePath,
  address,
  baseUrl,
  count,
  duplicates,
  label,
  line,
  oneOf,
  periodMinutes,
  port,
  pushgatewayBaseUrl,
  record,
  seconds,
  workstationPath,
} from "./fields";
import { pinnedImage } from "./image";
import { weekly } from "./maintenance";
import { retention } from "./retention";
import { type FieldError, rule } from "./rule";

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

/** An existing Secret with the keys REG_USER and REG_PASS. */
const fromExistingSecret = record({ from: z.literal("existing-secret"), secret: label });

/**
 * A Secret that the stack creates from ephemeral Terraform variables, through write-only attributes: the values are in no
 * plan and no state. Raising the revision sends them again.
 */
const fromVariables = record({ from: z.literal("variables"), secret: label, revision: count(1, 1_000_000) });

const credentials = z.discriminatedUnion(
  "from",
  [
    fromExistingSecret,
    fromVariables,
    /**
     * The operator's env file on the registry host, mode 0600, with REG_USER='…' and REG_PASS='…'. Without the quotes, compose
     * would expand everything after a dollar sign.
     */
    record({ from: z.literal("file"), file: absolutePath }),
  ],
  { error: 'allowed are credentials from an "existing-secret", from "variables" or from a "file"' },
);

const certificateAuthority = z.union(
  [
    /** For a probe in the cluster: a ConfigMap. */
    record({
      configMap: label,
      key: z
        .string({ error: "allowed is a key of the ConfigMap" })
        .regex(/^[\w.-]{1,253}$/, { error: "allowed is a key of the ConfigMap" }),
    }),
    /** For a probe on the registry host: a PEM file there. */
    record({ file: absolutePath }),
  ],
  { error: "allowed is a private CA, { configMap, key } in the cluster or { file } on the registry host" },
);

/** Time within a period that is not available to the walk: pod startup, the push and the gap before the next run. */
const STARTUP_SECONDS = 60;

const RATE = "allowed is a number of requests a second from 0.1 to 10000";

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests */
const REPOSITORY_NAME =
  /^(?=.{1,255}$)[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const REPOSITORY = 'allowed is a repository, for example "team/app"';

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md#platform-variants */
const PLATFORM_NAME = /^(?=.{1,64}$)[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/;
const PLATFORM = 'allowed is a platform, for example "linux/amd64"';

/** Maximum length of a CronJob's name. */
const MOST_OF_A_NAME = 52;

/** Defaults of how a probe walks. */
export const PROBE_DEFAULTS = {
  concurrency: 8,
  repositories: [] as string[],
  platforms: [] as string[],
  shards: 1,
  adopt: [] as "cron-job"[],
};

const probe = record({
  /** Name of the CronJob or the timer, and the Pushgateway's job. */
  name: label.refine((name) => name.length <= MOST_OF_A_NAME, {
    error: `allowed are at most ${MOST_OF_A_NAME} characters: Kubernetes appends 11 to name the Jobs of a CronJob`,
  }),
  /** What it monitors: one of registry.services or of externalRegistries. */
  service: label,
  /** A CronJob in the cluster, or a systemd timer on the registry host. Default: in the cluster if the site has one. */
  runsOn: oneOf(["cluster", "registry-host"]).optional(),
  periodMinutes,
  /** A run that takes longer reports what it has and stops. */
  deadlineSeconds: seconds(60, 3600),
  credentials: credentials.optional(),
  /** The private CA of the registry's certificate. Default: the public CAs. */
  certificateAuthority: certificateAuthority.optional(),
  /** Concurrent requests, over all shards. */
  concurrency: count(1, 8).default(PROBE_DEFAULTS.concurrency),
  /** Requests a second, over all shards, for a registry with a rate limit. Default: as fast as it answers. */
  rate: z.number({ error: RATE }).min(0.1, { error: RATE }).max(10_000, { error: RATE }).optional(),
  /** What to walk in a registry without a catalog. Default: the catalog is read. */
  repositories: z
    .array(z.string({ error: REPOSITORY }).regex(REPOSITORY_NAME, { error: REPOSITORY }), {
      error: "allowed is a list of repositories",
    })
    .default(PROBE_DEFAULTS.repositories),
  /** For a mirror of only some platforms: those that must be present in every index. Default: all. */
  platforms: z
    .array(z.string({ error: PLATFORM }).regex(PLATFORM_NAME, { error: PLATFORM }), {
      error: "allowed is a list of platforms",
    })
    .default(PROBE_DEFAULTS.platforms),
  /**
   * Whether it also verifies every image of the registry that the pods and CronJobs of its cluster use, and reports these
   * images in the registry, so that a clean-up keeps them. The report needs an account that may push (the Secret named after
   * that of its credentials, with `-push` appended). The probe may then list the cluster's pods and CronJobs.
   */
  workloads: flag.default(false),
  /** Pods that share a walk, each with its part of the repositories, for a registry that a single pod cannot walk in time. */
  shards: count(1, 8).default(PROBE_DEFAULTS.shards),
  /** Existing objects that are taken over instead of created. */
  adopt: z
    .array(
      z.literal("cron-job", {
        error: ({ input }) =>
          input === "secret"
            ? 'Terraform would read the values of the Secret into its plan and its state; allowed is "cron-job": delete the Secret, and the next deploy creates it again, or keep it with credentials from "existing-secret"'
            : 'allowed is "cron-job"',
      }),
      { error: 'allowed is a list of "cron-job"' },
    )
    .default(PROBE_DEFAULTS.adopt),
});

const endsBeforeTheNext = rule(probe, ["periodMinutes", "deadlineSeconds"], ({ periodMinutes, deadlineSeconds }) =>
  deadlineSeconds <= periodMinutes * 60 - STARTUP_SECONDS
    ? undefined
    : `deadlineSeconds ${deadlineSeconds} is not below the period of ${periodMinutes * 60} s by the ${STARTUP_SECONDS} s that start and report take; allowed are at most ${periodMinutes * 60 - STARTUP_SECONDS}: a run that outlives its period suppresses the next one`,
);

const shardsHaveRequests = rule(
  probe,
  ["concurrency", "shards"],
  ({ concurrency = PROBE_DEFAULTS.concurrency, shards = PROBE_DEFAULTS.shards }) =>
    shards <= concurrency
      ? undefined
      : `shards ${shards} share a concurrency of ${concurrency}; allowed are at most ${concurrency}: each needs one request at least`,
);

/**
 * What to remove from a registry that is reached over HTTP only; a CronJob removes it. The connection settings (private CA,
 * rate, the repositories if there is no catalog) are those of the registry's probe.
 */
const cleanUp = record({
  /** In UTC. */
  schedule: weekly,
  retention,
  /** For an account that may push and delete. */
  credentials: z.discriminatedUnion("from", [fromExistingSecret, fromVariables], {
    error: 'allowed are credentials from an "existing-secret" or from "variables"',
  }),
  /** An existing PersistentVolumeClaim for the journals, from which a clean-up can be undone. */
  journalClaim: label,
  /** Whether the CronJob is suspended, until someone has reviewed its plan. */
  suspend: flag.default(true),
});

/** A registry that the site does not run, as its clients reach it, such as Forgejo or Harbor. */
const externalRegistry = record({
  /** The name by which a probe refers to it. */
  name: label,
  url: baseUrl(["https", "http"]).refine(
    (url) => !URL.canParse(url) || /[^\x21-\x7e]/.test(url) || url === new URL(url).origin,
    {
      error: 'allowed is a registry without a path, for example "https://git.example.org"',
    },
  ),
  /** For a proxy, only the catalog is requested. */
  role: oneOf(["private", "proxy"]),
  /** Default: nothing is removed. */
  cleanUp: cleanUp.optional(),
});

const rules = z.discriminatedUnion(
  "delivery",
  [
    /** A PrometheusRule, installed by a Helm release of the local chart. The labels must match the operator's ruleSelector. */
    record({
      delivery: z.literal("prometheus-rule"),
      labels: kubernetesLabels.default({}),
      adopt: flag.default(false),
    }),
    /** A plain rules file in a ConfigMap, for a Prometheus without the operator. */
    record({ delivery: z.literal("rules-file"), labels: kubernetesLabels.default({}), adopt: flag.default(false) }),
    /** Installed by hand: `warden rules` prints them as a file for any Prometheus. */
    record({ delivery: z.literal("by-hand") }),
  ],
  { error: 'allowed is the delivery "prometheus-rule", "rules-file" or "by-hand"' },
);

/** A new Pushgateway: a service in the compose project of the registries. */
const ownPushgateway = record({
  image: pinnedImage,
  port,
  /**
   * The host address on which it listens. It has no authentication: anyone who can reach it can silence every alert.
   * Default: the host itself; "0.0.0.0" means every address.
   */
  listen: address.default("127.0.0.1"),
});

const kubernetes = record({
  configPath: workstationPath,
  context: line.optional(),
});

const fields = record({
  /**
   * A label on every metric and alert, for a Pushgateway, a Prometheus or an Alertmanager that several clusters share.
   */
  cluster: label.optional(),
  /** The cluster that runs the probes and receives the rules. Default: none; the probes run on the registry host. */
  kubernetes: kubernetes.optional(),
  /** For everything in the cluster. With `create` it may already exist, and it is never deleted. */
  namespace: record({ name: label, create: flag.default(false) }).optional(),
  /** An existing one, by its URL as the probes reach it, or a new one beside the registries. */
  pushgateway: z.union([pushgatewayBaseUrl, ownPushgateway], {
    error: "allowed is the URL of a Pushgateway that runs already, or { image, port } for one beside the registries",
  }),
  rules,
  /** A Grafana dashboard as a ConfigMap, with the labels that Grafana's sidecar looks for. Default: none. */
  dashboard: record({ labels: kubernetesLabels, adopt: flag.default(false) }).optional(),
  /** Base URL of the alert pages, one for each alert, named after it. */
  runbooks: baseUrl(["https", "http"]),
  /** A stock Node image for the probes in the cluster; their program comes from a ConfigMap. */
  probeImage: pinnedImage.optional(),
  externalRegistries: z
    .array(externalRegistry, { error: "allowed is a list of registries that the site does not run" })
    .default([]),
  probes: z
    .array(probe.check(endsBeforeTheNext, shardsHaveRequests), {
      error: "allowed is a list of probes",
    })
    .min(1, { error: "allowed is at least one probe" }),
});

const distinctProbes = rule(fields, ["probes.name", "probes.service"], ({ probes }) => {
  const twice = [...duplicates(probes.map(({ name }) => name)), ...duplicates(probes.map(({ service }) => service))];
  return twice.length === 0
    ? undefined
    : `probe or service ${twice.join(", ")} is declared more than once; allowed is one probe of a name and of a service: rename or remove one`;
});

/** The parts that need a cluster, and the parts that a cluster needs. */
const partsOfTheCluster = rule(
  fields,
  ["kubernetes?", "namespace?", "dashboard?", "rules.delivery"],
  ({ kubernetes, namespace, dashboard, rules }): FieldError[] => {
    const needs = (path: string, what: string): FieldError => ({
      path: [path],
      message: `${what} is in a cluster, and the site has none; allowed is to leave it out, or kubernetes beside it`,
    });
    if (kubernetes !== undefined)
      return namespace === undefined
        ? [
            {
              path: ["namespace"],
              message: 'allowed is the namespace of the probes, for example { name: "monitoring" }',
            },
          ]
        : [];
    return [
      ...(namespace === undefined ? [] : [needs("namespace", "a namespace")]),
      ...(dashboard === undefined ? [] : [needs("dashboard", "the ConfigMap of a dashboard")]),
      ...(rules.delivery === "prometheus-rule" || rules.delivery === "rules-file"
        ? [
            {
              path: ["rules"],
              message: `the delivery ${JSON.stringify(rules.delivery)} needs a cluster, and the site has none; allowed without kubernetes is "by-hand": warden rules prints them`,
            },
          ]
        : []),
    ];
  },
);

type Where = "cluster" | "registry-host";

/** The default place of a probe. */
const whereProbesRun = (kubernetes: unknown): Where => (kubernetes === undefined ? "registry-host" : "cluster");

const errorsOfProbe = (
  where: Where,
  {
    credentials,
    certificateAuthority,
    shards = PROBE_DEFAULTS.shards,
    workloads = false,
    adopt = PROBE_DEFAULTS.adopt,
  }: Pick<ProbeFields, "credentials" | "certificateAuthority"> &
    Partial<Pick<ProbeFields, "shards" | "workloads" | "adopt">>,
): string[] => {
  const onHost = where === "registry-host";
  const place = onHost ? "the registry host" : "the cluster";
  return [
    ...(credentials !== undefined && (credentials.from === "file") !== onHost
      ? [
          `credentials from ${JSON.stringify(credentials.from)} are not on ${place}, where the probe runs; allowed there is ${onHost ? '"file"' : '"existing-secret" or "variables"'}`,
        ]
      : []),
    ...(certificateAuthority !== undefined && "file" in certificateAuthority !== onHost
      ? [
          `the probe runs on ${place}; allowed there is a certificateAuthority ${onHost ? "{ file }" : "{ configMap, key }"}`,
        ]
      : []),
    ...(onHost && shards > 1 ? [`shards ${shards} are pods; allowed on the registry host is 1`] : []),
    ...(onHost && workloads ? ["workloads are pods of a cluster; allowed on the registry host is false"] : []),
    ...(onHost && adopt.length > 0 ? ["adopt names objects of a cluster; allowed on the registry host is none"] : []),
  ];
};

const probesFitWhereTheyRun = rule(
  fields,
  [
    "kubernetes?",
    "probeImage?",
    "probes.runsOn",
    "probes.credentials",
    "probes.certificateAuthority",
    "probes.shards",
    "probes.workloads",
    "probes.adopt",
  ],
  ({ kubernetes, probeImage, probes }): FieldError[] =>
    probes.flatMap((probe, index) => {
      const where = probe.runsOn ?? whereProbesRun(kubernetes);
      const at = (message: string): FieldError => ({ path: ["probes", index], message });
      if (where === "cluster" && kubernetes === undefined)
        return [at('runsOn is "cluster", and the site has none; allowed is "registry-host", or monitoring.kubernetes')];
      return [
        ...(where === "cluster" && probeImage === undefined
          ? [at("it runs in the cluster without an image; allowed is a pinned monitoring.probeImage")]
          : []),
        ...errorsOfProbe(where, probe).map(at),
      ];
    }),
);

/** The name of the CronJob that cleans up an external registry. */
export const cleanUpName = (registry: { readonly name: string }): string => `${registry.name}-clean-up`;

/** Where a clean-up's journal volume is mounted. */
export const CLEAN_UP_JOURNALS = "/var/lib/registry-warden";

/** A clean-up uses the name, the CA and the connection settings of its registry's probe. */
const cleanUpsHaveTheirProbe = rule(
  fields,
  [
    "kubernetes?",
    "externalRegistries.name",
    "externalRegistries.role",
    "externalRegistries.cleanUp.credentials.secret",
    "probes.name",
    "probes.service",
    "probes.runsOn",
    "probes.credentials?",
  ],
  ({ kubernetes, externalRegistries = [], probes }): FieldError[] =>
    externalRegistries.flatMap(({ name, role, cleanUp }, index) => {
      if (cleanUp === undefined) return [];
      const probe = probes.find(({ service }) => service === name);
      const isInCluster = (probe?.runsOn ?? whereProbesRun(kubernetes)) === "cluster";
      const job = cleanUpName({ name });
      const { secret } = (probe?.credentials ?? {}) as { secret?: unknown };
      const messages = [
        ...(role === "proxy"
          ? [`${name} is a cache, which drops by itself what nobody asks for; allowed is to leave cleanUp out`]
          : []),
        ...(probe === undefined || !isInCluster
          ? [
              `no probe in the cluster verifies ${name}; allowed is one beside its cleanUp: it shows what a clean-up broke, and what runs`,
            ]
          : []),
        ...(job.length > MOST_OF_A_NAME
          ? [
              `its CronJob would be called ${job}; allowed are at most ${MOST_OF_A_NAME} characters: shorten the name of the registry`,
            ]
          : []),
        ...(probes.some((each) => each.name === job)
          ? [`its CronJob is called ${job}, and so is a probe; allowed is another name for the probe`]
          : []),
        ...(secret === cleanUp.credentials.secret
          ? [
              `the Secret ${secret} is the probe's, whose account should only pull; allowed is one of its own, for an account that may delete`,
            ]
          : []),
      ];
      return messages.map((message) => ({ path: ["externalRegistries", index, "cleanUp"], message }));
    }),
);

export const monitoring = fields
  .check(distinctProbes, partsOfTheCluster, probesFitWhereTheyRun, cleanUpsHaveTheirProbe)
  .transform(({ probes, ...rest }) => ({
    ...rest,
    probes: probes.map((probe) => ({ ...probe, runsOn: probe.runsOn ?? whereProbesRun(rest.kubernetes) })),
  }));

type ProbeFields = z.output<typeof probe>;

export type Monitoring = z.output<typeof monitoring>;
export type Kubernetes = z.output<typeof kubernetes>;
export type Probe = Monitoring["probes"][number];
export type ExternalRegistry = Monitoring["externalRegistries"][number];
export type CleanUp = NonNullable<ExternalRegistry["cleanUp"]>;
export type RulesDelivery = Monitoring["rules"];
/** Rules delivered as an object in a cluster. */
export type ClusterRulesDelivery = Extract<RulesDelivery, { labels: unknown }>;
export type OwnPushgateway = z.output<typeof ownPushgateway>;

type CredentialsSource = NonNullable<Probe["credentials"]>;
type Authority = NonNullable<Probe["certificateAuthority"]>;

/** A probe that is a CronJob. */
export type ClusterProbe = Probe & {
  readonly runsOn: "cluster";
  readonly credentials?: Exclude<CredentialsSource, { from: "file" }>;
  readonly certificateAuthority?: Exclude<Authority, { file: string }>;
};

/** A probe that is a systemd timer. */
export type HostProbe = Probe & {
  readonly runsOn: "registry-host";
  readonly credentials?: Extract<CredentialsSource, { from: "file" }>;
  readonly certificateAuthority?: Extract<Authority, { file: string }>;
};

/** The name under which a site's cluster reports its workloads. */
export const reportName = ({ cluster = "cluster" }: { readonly cluster?: string }): string => cluster;

// The schema rejects a probe whose settings do not fit where it runs.
export const isClusterProbe = (probe: Probe): probe is ClusterProbe => probe.runsOn === "cluster";
export const isInCluster = (rules: RulesDelivery): rules is ClusterRulesDelivery => "labels" in rules;
export const isHostProbe = (probe: Probe): probe is HostProbe => probe.runsOn === "registry-host";
