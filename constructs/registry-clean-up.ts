import {
  CronJobV1,
  type CronJobV1SpecJobTemplateSpecTemplateSpecContainerEnv as Env,
} from "@cdktf/provider-kubernetes/lib/cron-job-v1";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { DAYS } from "../site/maintenance";
import { CLEAN_UP_JOURNALS, type CleanUp, type ClusterProbe, cleanUpName } from "../site/monitoring";
import { type CleanedUp, type Site, serviceInstance } from "../site/schema";
import type { CleanUpProgramConfigMap } from "./clean-up-program-config-map";
import { literal } from "./literal";
import { credentialSecrets, PASSWORD, USER } from "./program-credentials";
import { authorityFile, programPod } from "./program-pod";

/** The registry as its clean-up reaches it. */
export interface CleanedUpRegistry
  extends Pick<ClusterProbe, "rate" | "repositories" | "certificateAuthority">,
    Pick<CleanUp, "schedule" | "retention" | "credentials" | "journalClaim" | "suspend"> {
  /** Name of the CronJob. */
  readonly name: string;
  /** Base URL. */
  readonly url: string;
  /** Value of the label `instance` of its metrics. */
  readonly instance: string;
  /**
   * What its metrics carry as the label `cluster`.
   * @default no such label
   */
  readonly cluster?: string;
}

/** A registry that a site cleans up, with the connection settings of its probe. */
export const cleanedUpRegistry = (site: Site, { service, cleanUp, probe }: CleanedUp): CleanedUpRegistry => ({
  ...cleanUp,
  name: cleanUpName(service),
  url: service.url,
  instance: serviceInstance(site, service),
  cluster: site.monitoring?.cluster,
  rate: probe.rate,
  repositories: probe.repositories,
  certificateAuthority: probe.certificateAuthority,
});

/** Props of RegistryCleanUp. */
export interface RegistryCleanUpProps {
  readonly namespace: string;
  readonly registry: CleanedUpRegistry;
  /** Base URL of the Pushgateway. */
  readonly pushgateway: string;
  /** A stock Node image, `repository:tag`. */
  readonly image: string;
  /** ConfigMap that holds the program. */
  readonly program: CleanUpProgramConfigMap;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/** An interrupted run is continued by the next one. Hours are for a registry with many thousand tags (seconds). */
const DEADLINE = 6 * 60 * 60;

/** A run that cannot start within this time is skipped, so that it does not run at another time of day (seconds). */
const LATE = 60 * 60;

/** Sunday is 0. https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax */
const cron = ({ days, at }: CleanUp["schedule"]): string => {
  const [hour = 0, minute = 0] = at.split(":").map(Number);
  const numbers = days.map((day) => (DAYS.indexOf(day) + 1) % DAYS.length).sort((one, other) => one - other);
  return `${minute} ${hour} * * ${numbers.length === DAYS.length ? "*" : numbers.join(",")}`;
};

/**
 * A CronJob that removes from one registry, over HTTP, what its retention does not keep. It is suspended until the site says
 * otherwise. Its journal, from which a run can be undone, is on a volume that outlives it.
 */
export class RegistryCleanUp extends Construct {
  readonly resource: CronJobV1;

  constructor(scope: Construct, id: string, props: RegistryCleanUpProps) {
    super(scope, id);
    const { namespace, registry, image, program, dependsOn = [] } = props;
    const { name, credentials } = registry;
    const labels = { "app.kubernetes.io/name": name, "app.kubernetes.io/component": "registry-clean-up" };

    const secrets = credentialSecrets(this, { credentials, name, namespace, dependsOn });
    this.resource = new CronJobV1(this, "Resource", {
      metadata: { name, namespace, labels },
      spec: {
        schedule: cron(registry.schedule),
        timezone: "Etc/UTC",
        suspend: registry.suspend,
        concurrencyPolicy: "Forbid",
        startingDeadlineSeconds: LATE,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 3,
        jobTemplate: {
          metadata: { labels },
          spec: {
            activeDeadlineSeconds: DEADLINE,
            // A refusal would only be repeated: the next run is the retry.
            backoffLimit: 0,
            template: {
              metadata: { labels },
              spec: programPod({
                container: "clean-up",
                image,
                program,
                env: environment(props),
                memory: "512Mi",
                certificateAuthority: registry.certificateAuthority,
                claim: { name: registry.journalClaim, mountPath: CLEAN_UP_JOURNALS },
              }),
            },
          },
        },
      },
      // It refers to both by name, which Terraform cannot see. An old program must outlive the update of the CronJob.
      dependsOn: [...dependsOn, program.resource, ...secrets],
    });
  }
}

const environment = ({ registry, pushgateway }: RegistryCleanUpProps): Env[] => {
  const { credentials, rate, repositories, cluster } = registry;
  const authority = authorityFile(registry.certificateAuthority);
  const values: Record<string, string> = {
    REGISTRY: registry.url,
    REGISTRY_INSTANCE: registry.instance,
    POLICY: JSON.stringify(registry.retention),
    JOURNALS: CLEAN_UP_JOURNALS,
    PUSHGATEWAY: pushgateway,
    ...(cluster === undefined ? {} : { CLUSTER: cluster }),
    ...(rate === undefined ? {} : { RATE: String(rate) }),
    ...(repositories.length === 0 ? {} : { REPOSITORIES: repositories.join(",") }),
    ...(authority === undefined ? {} : { REGISTRY_CA_FILE: authority }),
  };
  return [
    ...Object.entries(values).map(([name, value]) => ({ name, value: literal(value) })),
    ...[USER, PASSWORD].map((key) => ({
      name: key,
      valueFrom: { secretKeyRef: { name: credentials.secret, key } },
    })),
  ];
};
