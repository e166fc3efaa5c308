import type {
  CronJobV1SpecJobTemplateSpecTemplateSpecContainerEnv as Env,
  CronJobV1SpecJobTemplateSpecTemplateSpec as PodSpec,
} from "@cdktf/provider-kubernetes/lib/cron-job-v1";
import type { ClusterProbe } from "../site/monitoring";
import type { ProgramConfigMap } from "./program-config-map";

/** Props of programPod. */
export interface ProgramPodProps {
  /** Name of the container. */
  readonly container: string;
  /** A stock Node image, `repository:tag`. */
  readonly image: string;
  readonly program: ProgramConfigMap;
  readonly env: Env[];
  /** What it may use at most. */
  readonly memory: string;
  readonly certificateAuthority?: ClusterProbe["certificateAuthority"];
  /**
   * A PersistentVolumeClaim, and where the program finds it.
   * @default the program writes nowhere
   */
  readonly claim?: { readonly name: string; readonly mountPath: string };
  /**
   * By which it is known to the API server.
   * @default it is not
   */
  readonly serviceAccountName?: string;
  readonly hostAliases?: PodSpec["hostAliases"];
}

const PROGRAM = "/opt/registry-warden";
const AUTHORITY = "/etc/registry-warden";

/** The user `node` of the stock image. */
const NODE_USER = "1000";

/** Where a program finds the private CA of a registry. */
export const authorityFile = (authority: ClusterProbe["certificateAuthority"]): string | undefined =>
  authority === undefined ? undefined : `${AUTHORITY}/${authority.key}`;

/**
 * A pod that runs one of our programs once. It passes the Pod Security level `restricted`.
 *
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
export const programPod = ({
  container,
  image,
  program,
  env,
  memory,
  certificateAuthority,
  claim,
  serviceAccountName,
  hostAliases,
}: ProgramPodProps): PodSpec => ({
  // The provider's default is Never, the API server's is not: said, so that both agree.
  restartPolicy: "Never",
  serviceAccountName,
  automountServiceAccountToken: serviceAccountName !== undefined,
  enableServiceLinks: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: NODE_USER,
    runAsGroup: NODE_USER,
    // A volume is root's alone otherwise.
    ...(claim === undefined ? {} : { fsGroup: NODE_USER }),
    seccompProfile: { type: "RuntimeDefault" },
  },
  hostAliases,
  container: [
    {
      name: container,
      image,
      imagePullPolicy: "IfNotPresent",
      command: ["node", `${PROGRAM}/${program.file}`],
      env,
      resources: {
        requests: { cpu: "50m", memory: "96Mi" },
        limits: { cpu: "1", memory },
      },
      securityContext: {
        // Left out it would be sent as false, which overrides the pod's.
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
      volumeMount: [
        { name: "program", mountPath: PROGRAM, readOnly: true },
        ...(certificateAuthority === undefined
          ? []
          : [{ name: "certificate-authority", mountPath: AUTHORITY, readOnly: true }]),
        ...(claim === undefined ? [] : [{ name: "journal", mountPath: claim.mountPath }]),
      ],
    },
  ],
  volume: [
    { name: "program", configMap: { name: program.name } },
    ...(certificateAuthority === undefined
      ? []
      : [{ name: "certificate-authority", configMap: { name: certificateAuthority.configMap } }]),
    ...(claim === undefined ? [] : [{ name: "journal", persistentVolumeClaim: { claimName: claim.name } }]),
  ],
});
