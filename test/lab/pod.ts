import { spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AnyKubernetesObject } from "../monitoring/objects";
import type { Json } from "../monitoring/synthesise";
import { temporaryFolder } from "./process";

/** How a run of a pod's container ended. */
export interface PodOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A pod's one container as a process of this machine: its command, environment, mounted files and user. */
export interface LabPod {
  run(): Promise<PodOutcome>;
  /** Arguments and environment of the process, to be searched for secrets. */
  readonly argv: readonly [string, ...string[]];
  remove(): void;
}

/** What a kubelet provides to a pod with a service account: the token, and the address of the API server. */
export interface Kubelet {
  /** Base URL of the API server. */
  readonly api: string;
  /** Path of its authority's certificate. */
  readonly certificateAuthority: string;
  readonly token: string;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

const named = (objects: readonly AnyKubernetesObject[], kind: string, name: string): AnyKubernetesObject => {
  const found = objects.find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`the pod refers to ${kind} ${name}, which is not there`);
  return found;
};

/** https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields */
const fieldOf = (metadata: Json, path: string): string => {
  const [, map, key] = /^metadata\.(annotations|labels)\['([^']+)'\]$/.exec(path) ?? [];
  const value = map === undefined ? undefined : metadata[map]?.[key ?? ""];
  if (value === undefined) throw new Error(`the pod has no ${path}`);
  return value;
};

/**
 * A kubelet would mount at the given path; here each mount is a folder that stands in for it.
 *
 * @param pod a pod or a pod template: metadata and spec
 * @param objects the objects that it refers to
 * @param kubelet default: none, and the pod gets no token
 * @param claims folders of PersistentVolumeClaims, by name, which outlive the pod; default: none
 */
export const preparePod = (
  { metadata, spec }: Json,
  objects: readonly AnyKubernetesObject[],
  kubelet?: Kubelet,
  claims: Readonly<Record<string, string>> = {},
): LabPod => {
  const [container] = spec.containers;
  const folder = temporaryFolder("pod");
  // The container's user needs access.
  chmodSync(folder, 0o755);
  const mounts: [path: string, folder: string][] = container.volumeMounts.map(({ name, mountPath }: Json) => {
    const volume = spec.volumes.find((each: Json) => each.name === name);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim !== undefined) {
      const claimed = claims[claim];
      if (claimed === undefined)
        throw new Error(`the pod refers to PersistentVolumeClaim ${claim}, which is not there`);
      // As a kubelet does for fsGroup.
      if (process.getuid?.() === 0) chownSync(claimed, 0, spec.securityContext.fsGroup);
      chmodSync(claimed, 0o2770);
      return [mountPath, claimed];
    }
    const mounted = join(folder, name);
    mkdirSync(mounted);
    for (const [file, text] of Object.entries(named(objects, "ConfigMap", volume.configMap.name).data))
      writeFileSync(join(mounted, file), text as string, { mode: 0o644 });
    return [mountPath, mounted];
  });
  const hasToken = kubelet !== undefined && spec.automountServiceAccountToken === true;
  if (hasToken) {
    const mounted = join(folder, "service-account");
    mkdirSync(mounted);
    writeFileSync(join(mounted, "token"), kubelet.token, { mode: 0o644 });
    writeFileSync(join(mounted, "ca.crt"), readFileSync(kubelet.certificateAuthority), { mode: 0o644 });
    mounts.push([SERVICE_ACCOUNT, mounted]);
  }
  const placed = (text: string): string =>
    mounts.reduce(
      (path, [mount, mounted]) =>
        path === mount || path.startsWith(`${mount}/`) ? mounted + path.slice(mount.length) : path,
      text,
    );
  const value = ({ value: plain, valueFrom }: Json): string => {
    if (valueFrom === undefined) return placed(plain);
    if (valueFrom.fieldRef !== undefined) return fieldOf(metadata, valueFrom.fieldRef.fieldPath);
    const { name, key, optional } = valueFrom.secretKeyRef;
    if (optional && !objects.some((each) => each.kind === "Secret" && each.metadata.name === name)) return "";
    return Buffer.from(named(objects, "Secret", name).data[key], "base64").toString();
  };
  const { hostname, port } = new URL(kubelet?.api ?? "https://127.0.0.1");
  const environment = {
    ...Object.fromEntries(container.env.map((each: Json) => [each.name, value(each)])),
    ...(hasToken ? { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port } : {}),
  };
  const [program, ...argv] = container.command.map(placed);
  const node = program === "node" ? process.execPath : program;
  // Only root may become another user.
  const { runAsUser: uid, runAsGroup: gid } = spec.securityContext;
  const user = process.getuid?.() === 0 ? { uid, gid } : {};

  return {
    argv: [node, ...argv],
    remove: () => rmSync(folder, { recursive: true, force: true }),
    run: () =>
      new Promise((resolve, reject) => {
        const child = spawn(node, argv, { env: environment, cwd: "/", stdio: ["ignore", "pipe", "pipe"], ...user });
        let stdout = "";
        let stderr = "";
        child.stdout.on("data", (bytes) => (stdout += bytes));
        child.stderr.on("data", (bytes) => (stderr += bytes));
        child.once("error", reject);
        child.once("close", (code) => resolve({ code, stdout, stderr }));
      }),
  };
};
