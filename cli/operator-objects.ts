import { cleanUpName } from "../site/monitoring";
import { pushSecret } from "../site/probe-walk";
import { type ClusterSite, cleanUps, clusterProbes, mustReport } from "../site/schema";

/** An object that no stack delivers: the operator creates it, for a probe or a clean-up. */
export interface OperatorObject {
  readonly kind: "Secret" | "ConfigMap" | "PersistentVolumeClaim";
  readonly name: string;
  readonly keys: readonly string[];
  /** The name of the CronJob. */
  readonly job: string;
  /** Whether the CronJob cannot run without it. */
  readonly isNeeded: boolean;
  /** Its content, if that is not obvious from its keys. */
  readonly content?: string;
}

const ACCOUNT = { kind: "Secret", keys: ["REG_USER", "REG_PASS"] } as const;

const ofCleanUps = (site: ClusterSite): OperatorObject[] =>
  cleanUps(site).flatMap(({ service, cleanUp: { credentials, journalClaim } }): OperatorObject[] => {
    const ofJob = { job: cleanUpName(service), isNeeded: true };
    return [
      { ...ofJob, ...ACCOUNT, name: credentials.secret, content: "an account that may push and delete" },
      {
        ...ofJob,
        kind: "PersistentVolumeClaim",
        name: journalClaim,
        keys: [],
        content: "the journal by which it can be undone",
      },
    ];
  });

const ofProbes = (site: ClusterSite): OperatorObject[] =>
  clusterProbes(site).flatMap((probe): OperatorObject[] => {
    const { name, credentials, certificateAuthority: authority, workloads } = probe;
    const ofProbe = { job: name, isNeeded: true };
    return [
      ...(credentials === undefined ? [] : [{ ...ofProbe, ...ACCOUNT, name: credentials.secret }]),
      ...(credentials === undefined || !workloads
        ? []
        : [
            {
              ...ofProbe,
              ...ACCOUNT,
              name: pushSecret(credentials),
              isNeeded: mustReport(site, probe),
              content: "an account that may push: it reports what runs",
            },
          ]),
      ...(authority === undefined
        ? []
        : [{ ...ofProbe, kind: "ConfigMap" as const, name: authority.configMap, keys: [authority.key] }]),
    ];
  });

/** The operator's own objects in the cluster that a site's probes and clean-ups read. */
export const operatorObjects = (site: ClusterSite): OperatorObject[] => [...ofProbes(site), ...ofCleanUps(site)];
