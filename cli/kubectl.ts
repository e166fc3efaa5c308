import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import type { ClusterSite } from "../site/schema";

/** The cluster was not reachable or refused. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";

  constructor(
    readonly code:
      | "no-kubectl"
      | "no-kubeconfig"
      | "unknown-context"
      | "unauthorized"
      | "unreachable"
      | "missing"
      | "failed",
    message: string,
    /** What the operator can do about it. */
    readonly hint: string,
  ) {
    super(message);
  }
}

/** Errors of kubectl that get a message of their own; any other is passed on. */
const CAUSES: readonly { readonly pattern: RegExp; readonly error: (line: string) => ClusterError }[] = [
  {
    pattern: /context .*(does not exist|was not found)/,
    error: (line) =>
      new ClusterError(
        "unknown-context",
        line,
        "set monitoring.kubernetes.context to one of: kubectl config get-contexts",
      ),
  },
  {
    pattern: /Unauthorized|Forbidden|must be logged in/,
    error: (line) => new ClusterError("unauthorized", line, "use a kubeconfig whose user may read what it asks for"),
  },
  {
    pattern: /Unable to connect|was refused|no such host|i\/o timeout|deadline exceeded|x509|TLS/,
    error: (line) =>
      new ClusterError(
        "unreachable",
        `the API server cannot be reached (${line})`,
        "check the network, and the server's address in the kubeconfig",
      ),
  },
];

const NO_SUCH_KIND = /the server doesn't have a resource type/;

/** Long enough for a distant server, but short enough that a wrong address does not block the command. */
const TIMEOUT = "15s";
/** For thousands of pods. */
const LONG_TIMEOUT = "60s";

const explained = (stderr: string): ClusterError => {
  // The last line is the final error; the lines before are kubectl's attempts.
  const line = (stderr.trim().split("\n").at(-1) ?? "").replace(/^error: /, "") || "kubectl does not say why";
  const cause = CAUSES.find(({ pattern }) => pattern.test(line));
  return cause?.error(line) ?? new ClusterError("failed", line, "try the same with kubectl get");
};

/** The cluster that kubectl connects to. */
interface Cluster {
  readonly kubeconfig?: string;
  readonly context?: string;
}

const argumentsOf = ({ kubeconfig, context }: Cluster): string[] => [
  ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
  ...(context === undefined ? [] : [`--context=${context}`]),
];

/** Queries a site's cluster, with kubectl and its credentials. */
export class Kubectl {
  readonly #arguments: readonly string[];
  readonly #kubeconfig: string;

  constructor({ kubernetes, namespace }: ClusterSite["monitoring"]) {
    this.#kubeconfig = kubernetes.configPath.replace(/^~(?=\/)/, () => homedir());
    this.#arguments = [
      ...argumentsOf({ kubeconfig: this.#kubeconfig, context: kubernetes.context }),
      `--namespace=${namespace.name}`,
      `--request-timeout=${TIMEOUT}`,
    ];
  }

  /**
   * kubectl's output for an object.
   *
   * @param resource for example "cronjob.batch"
   * @param output value of --output
   * @returns undefined if there is no such object; `{ kind: "unknown" }` if the cluster does not know its kind
   * @throws ClusterError when the cluster is not reachable
   */
  async get(resource: string, name: string, output: string): Promise<string | undefined | { kind: "unknown" }> {
    if (!existsSync(this.#kubeconfig))
      throw new ClusterError(
        "no-kubeconfig",
        `the kubeconfig ${this.#kubeconfig} does not exist`,
        "put it there, or name another in monitoring.kubernetes.configPath",
      );
    const parameters = ["get", resource, name, "--ignore-not-found", `--output=${output}`, ...this.#arguments];
    const { code, stdout, stderr } = await run(parameters);
    if (code === 0) return stdout.trim() === "" ? undefined : stdout;
    if (NO_SUCH_KIND.test(stderr)) return { kind: "unknown" };
    throw explained(stderr);
  }
}

/**
 * All objects of a kind, in all namespaces, as JSON.
 *
 * @param resource for example "pods"
 * @param cluster default: as configured for kubectl
 * @throws ClusterError when the cluster is not reachable
 */
export const listEverywhere = async (resource: string, cluster: Cluster): Promise<string> => {
  const { code, stdout, stderr } = await run([
    "get",
    resource,
    "--all-namespaces",
    "--output=json",
    ...argumentsOf(cluster),
    `--request-timeout=${LONG_TIMEOUT}`,
  ]);
  if (code !== 0) throw explained(stderr);
  return stdout;
};

const run = (parameters: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve, reject) => {
    execFile(
      "kubectl",
      parameters,
      { encoding: "utf8", env: process.env, timeout: 90_000, maxBuffer: 512 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT")
          reject(new ClusterError("no-kubectl", "there is no kubectl on the PATH", "install it"));
        else resolve({ code: error === null ? 0 : 1, stdout, stderr });
      },
    );
  });
