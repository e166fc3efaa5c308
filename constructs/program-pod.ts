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
  /** Memory limit. */
  readonly memory: string;
  readonly certificateAuthority?: ClusterProbe["certificateAuthority"];
  /**
   * A PersistentVolumeClaim, and where it is mounted.
   * @default the program writes nowhere
   */
  readonly claim?: { readonly name: string; readonly mountPath: string };
  /**
   * Its identity for the API server.
   * @default none
   */
  readonly serviceAccountName?: string;
  readonly hostAliases?: PodSpec["hostAliases"];
}

const PROGRAM = "/opt/registry-warden";
const AUTHORITY = "/etc/registry-warden";

/** The user `node` of the stock image. */
const NODE_USER = "1000";

/** The path of a registry's private CA in the pod. */
export const authorityFile = (authority: ClusterProbe["certificateAuthority"]): string | undefined =>
  authority === undefined ? undefined : `${AUTHORITY}/${authority.key}`;

/**
 * A pod that runs one of our programs once. It satisfies the Pod Security level `restricted`.
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
  // The provider's default is Never, the API server's is not: set explicitly, so that they agree.
  restartPolicy: "Never",
  serviceAccountName,
  automountServiceAccountToken: serviceAccountName !== undefined,
  enableServiceLinks: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: NODE_USER,
    runAsGroup: NODE_USER,
    // Otherwise only root could write to the volume.
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
        // If left out, it would be sent as false, which overrides the pod's value.
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
