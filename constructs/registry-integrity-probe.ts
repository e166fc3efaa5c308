import {
  CronJobV1,
  type CronJobV1Spec,
  type CronJobV1SpecJobTemplateSpecTemplateSpecContainerEnv as Env,
} from "@cdktf/provider-kubernetes/lib/cron-job-v1";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { type ClusterProbe, PROBE_DEFAULTS, reportName } from "../site/monitoring";
import { pushSecret, walkVariables } from "../site/probe-walk";
import {
  hasRegistry,
  imageHosts,
  isExternal,
  mustReport,
  probedService,
  registryHost,
  type Site,
  serviceInstance,
  serviceUrl,
} from "../site/schema";
import { plural } from "../text/plural";
import { ImportBlock } from "./import-block";
import { literal } from "./literal";
import type { ProbeProgramConfigMap } from "./probe-program-config-map";
import { credentialSecrets, PASSWORD, USER } from "./program-credentials";
import { authorityFile, programPod } from "./program-pod";
import { TerraformData } from "./terraform-data";
import { WorkloadAccess } from "./workload-access";

/** The registry as the probe sees it. */
export interface ProbedRegistry {
  /** Base URL, with the name in its certificate. */
  readonly url: string;
  /** Value of the label `instance` of its metrics. */
  readonly instance: string;
  /** A private registry is walked; for a cache, only its availability is checked. */
  readonly role: "private" | "proxy";
  /** Whether the site runs it. */
  readonly isOwn: boolean;
  /**
   * What its metrics carry as the label `cluster`.
   * @default no such label
   */
  readonly cluster?: string;
  /**
   * Settings for verifying the images in use in the cluster.
   * @default they are not verified
   */
  readonly workloads?: {
    /** The names under which image references know it. @default the one in the URL */
    readonly names?: readonly string[];
    /** The tag for the report. */
    readonly report: string;
    /** Whether a clean-up depends on the report. */
    readonly mustReport: boolean;
  };
  /**
   * The address of the name in the URL.
   * @default resolved by the cluster's DNS
   */
  readonly host?: { readonly name: string; readonly address: string };
}

/** The registry that a site's probe walks. */
export const probedRegistry = (site: Site, probe: ClusterProbe): ProbedRegistry => {
  const service = probedService(site, probe);
  return {
    url: serviceUrl(site, service),
    instance: serviceInstance(site, service),
    role: service.role,
    isOwn: !isExternal(service),
    cluster: site.monitoring?.cluster,
    workloads: probe.workloads
      ? {
          names: isExternal(service) ? undefined : imageHosts(site, service),
          report: reportName(site.monitoring ?? {}),
          mustReport: mustReport(site, probe),
        }
      : undefined,
    host:
      hasRegistry(site) && !isExternal(service) && service.role === "private"
        ? { name: service.serverName, address: registryHost(site).address }
        : undefined,
  };
};

type Defaults = keyof typeof PROBE_DEFAULTS;

/** Its name, schedule, deadline and credentials, and how it walks; a site's probe has all of these. */
export type ProbeDefinition = Pick<
  ClusterProbe,
  "name" | "periodMinutes" | "deadlineSeconds" | "credentials" | "certificateAuthority" | "rate"
> &
  Partial<Pick<ClusterProbe, Defaults>>;

/** Props of RegistryIntegrityProbe. */
export interface RegistryIntegrityProbeProps {
  readonly namespace: string;
  readonly probe: ProbeDefinition;
  readonly registry: ProbedRegistry;
  /** Base URL of the Pushgateway. */
  readonly pushgateway: string;
  /** A stock Node image, `repository:tag`. */
  readonly image: string;
  /** ConfigMap that holds the program. */
  readonly program: ProbeProgramConfigMap;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Long enough to read the log of a run that failed at night (one day, in seconds). */
const KEEP_FINISHED = "86400";

const everyMinutes = (period: number): string => (period === 60 ? "0 * * * *" : `*/${period} * * * *`);

/** The next run is the retry. A pod's index determines its part of the repositories. */
const completion = (shards: number) =>
  shards === 1
    ? { completionMode: "NonIndexed", completions: 1, parallelism: 1, backoffLimit: 0 }
    : {
        completionMode: "Indexed",
        completions: shards,
        parallelism: shards,
        // A failed pod must not end the others: there are no retries, and all may fail.
        backoffLimitPerIndex: 0,
        backoffLimit: shards,
        // If left out, the provider sends 0: the first failure would end all the others.
        maxFailedIndexes: shards,
      };

const JOB = "spec[0].job_template[0].spec[0]";

/** Attributes that the provider can only change by recreating the CronJob, although Kubernetes allows an update. */
const CHANGED_BY_DELETION = ["completions", "completion_mode", "backoff_limit_per_index"].map(
  (field) => `${JOB}.${field}`,
);

/**
 * Whether a CronJob, in its state after the apply, has this many shards. One created with kubectl leaves out defaults, which the
 * provider reads as 0 or as an empty text.
 */
const isOfShards = (shards: number): string => {
  const job = `self.${JOB}`;
  return `\${${[
    `max(coalesce(${job}.completions, 1), 1) == ${shards}`,
    `coalesce(${job}.completion_mode, "NonIndexed") == "${shards === 1 ? "NonIndexed" : "Indexed"}"`,
    `coalesce(${job}.backoff_limit_per_index, 0) == 0`,
  ].join(" && ")}}`;
};

/** The command that sets a CronJob's shards without deleting it. */
const patchOf = (namespace: string, name: string, shards: number): string => {
  const { completionMode, completions, backoffLimitPerIndex = null } = completion(shards);
  const patch = JSON.stringify({
    spec: { jobTemplate: { spec: { completions, completionMode, backoffLimitPerIndex } } },
  });
  return `kubectl --namespace ${namespace} patch cronjob ${name} --type merge --patch '${patch}'`;
};

type ProbeWithDefaults = ProbeDefinition & Pick<ClusterProbe, Defaults>;

/** The CronJob's schedule and pod. @param serviceAccountName for a probe that verifies workloads; others have no API access */
const cronJob = (
  probe: ProbeWithDefaults,
  labels: Record<string, string>,
  props: RegistryIntegrityProbeProps,
  serviceAccountName: string | undefined,
): CronJobV1Spec => {
  const { image, program, registry } = props;
  const period = probe.periodMinutes * 60;
  return {
    schedule: everyMinutes(probe.periodMinutes),
    // Two concurrent walks would overwrite each other's metrics and double the load.
    concurrencyPolicy: "Forbid",
    // A run that starts later would not finish before the next one.
    startingDeadlineSeconds: period - probe.deadlineSeconds,
    successfulJobsHistoryLimit: 1,
    failedJobsHistoryLimit: 3,
    jobTemplate: {
      metadata: { labels },
      spec: {
        // The program reports what it has at its own deadline: this one is for a pod that cannot even start. It shares
        // the rest of the period between that and the gap before the next run.
        activeDeadlineSeconds: Math.floor((probe.deadlineSeconds + period) / 2),
        ...completion(probe.shards),
        ttlSecondsAfterFinished: KEEP_FINISHED,
        template: {
          metadata: { labels },
          spec: programPod({
            container: "probe",
            image,
            program,
            env: environment(probe, props),
            memory: "256Mi",
            certificateAuthority: probe.certificateAuthority,
            serviceAccountName,
            // The certificate contains the registry's name, so that name is used, even if only its address is known.
            hostAliases:
              registry.host === undefined
                ? undefined
                : [{ ip: registry.host.address, hostnames: [registry.host.name] }],
          }),
        },
      },
    },
  };
};

/** The condition to check after an apply: the CronJob has as many shards as the probe. */
const hasItsShards = (namespace: string, { name, shards }: Pick<ProbeWithDefaults, "name" | "shards">) => ({
  condition: isOfShards(shards),
  errorMessage: literal(
    `CronJob ${namespace}/${name} is not of ${plural(shards, "shard")}, and Terraform could change that only by deleting it; change it in place, and plan again: ${patchOf(namespace, name, shards)}`,
  ),
});

/** A CronJob that walks one registry and pushes what it found. */
export class RegistryIntegrityProbe extends Construct {
  readonly resource: CronJobV1;

  constructor(scope: Construct, id: string, props: RegistryIntegrityProbeProps) {
    super(scope, id);
    const { namespace, registry, program, dependsOn = [] } = props;
    const probe = { ...PROBE_DEFAULTS, ...props.probe };
    const { name } = probe;
    const labels = { "app.kubernetes.io/name": name, "app.kubernetes.io/component": "registry-probe" };

    const { credentials } = probe;
    const push = credentials && registry.workloads?.mustReport ? pushSecret(credentials) : undefined;
    const secrets = credentialSecrets(this, { credentials, name, namespace, dependsOn, push });
    const access =
      registry.workloads === undefined
        ? undefined
        : new WorkloadAccess(this, "Workloads", { namespace, name, labels, dependsOn });

    const shards = new TerraformData(this, "Shards", { input: probe.shards });
    this.resource = new CronJobV1(this, "Resource", {
      metadata: { name, namespace, labels },
      spec: cronJob(probe, labels, props, access && name),
      // It refers to both by name, which Terraform cannot see. An old program must outlive the update of the CronJob.
      dependsOn: [...dependsOn, program.resource, ...secrets, ...(access?.resources ?? [])],
      lifecycle: {
        // A CronJob that is taken over must not be recreated because of defaults; a change of shards replaces it on purpose.
        ignoreChanges: CHANGED_BY_DELETION,
        replaceTriggeredBy: [`${shards.terraformResourceType}.${shards.friendlyUniqueId}`],
        postcondition: [hasItsShards(namespace, probe)],
      },
    });
    if (probe.adopt.includes("cron-job")) new ImportBlock(this.resource, `${namespace}/${name}`);
  }
}

const environment = (probe: ProbeWithDefaults, { registry, pushgateway }: RegistryIntegrityProbeProps): Env[] => {
  const { credentials } = probe;
  const { workloads } = registry;
  const authority = authorityFile(probe.certificateAuthority);
  const fromSecret = (key: string): Env[] =>
    credentials === undefined ? [] : [{ name: key, valueFrom: { secretKeyRef: { name: credentials.secret, key } } }];
  /** Optional, because the probe verifies without it; only a clean-up that depends on the report requires it. */
  const toPush = (name: string, key: string): Env[] =>
    credentials === undefined || workloads === undefined
      ? []
      : [
          {
            name,
            valueFrom: { secretKeyRef: { name: pushSecret(credentials), key, optional: !workloads.mustReport } },
          },
        ];
  const values: Record<string, string> = {
    REGISTRY: registry.url,
    REGISTRY_INSTANCE: registry.instance,
    REGISTRY_ROLE: registry.role,
    PUSHGATEWAY: pushgateway,
    PUSHGATEWAY_JOB: probe.name,
    ...(registry.cluster === undefined ? {} : { CLUSTER: registry.cluster }),
    ...walkVariables(probe, registry.isOwn && registry.role === "private"),
    ...(probe.shards === 1 ? {} : { SHARDS: String(probe.shards) }),
    ...(workloads === undefined ? {} : { SERVICE_ACCOUNT, IN_USE_TAG: workloads.report }),
    ...(workloads?.names === undefined ? {} : { REGISTRY_NAMES: workloads.names.join(",") }),
    DEADLINE_SECONDS: String(probe.deadlineSeconds),
    ...(authority === undefined ? {} : { REGISTRY_CA_FILE: authority }),
  };
  return [
    ...Object.entries(values).map(([name, value]) => ({ name, value: literal(value) })),
    ...fromSecret(USER),
    ...fromSecret(PASSWORD),
    ...toPush("PUSH_USER", USER),
    ...toPush("PUSH_PASS", PASSWORD),
  ];
};
