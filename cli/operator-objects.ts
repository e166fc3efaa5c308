import { pushSecret } from "../site/probe-walk";
import { type ClusterSite, clusterProbes, mustReport } from "../site/schema";

/** An object that no stack delivers: the operator makes it, for a probe. */
export interface OperatorObject {
  readonly kind: "Secret" | "ConfigMap";
  readonly name: string;
  readonly keys: readonly string[];
  /** The name of the probe. */
  readonly probe: string;
  /** Whether the probe does not run without it. */
  readonly isNeeded: boolean;
  /** What is in it, where its keys do not say so. */
  readonly content?: string;
}

const ACCOUNT = { kind: "Secret", keys: ["REG_USER", "REG_PASS"] } as const;

/** The operator's own objects that the probes of a site read in its cluster. */
export const operatorObjects = (site: ClusterSite): OperatorObject[] =>
  clusterProbes(site).flatMap((probe): OperatorObject[] => {
    const { name, credentials, certificateAuthority: authority, workloads } = probe;
    const ofProbe = { probe: name, isNeeded: true };
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
