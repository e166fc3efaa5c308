import { randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, fetch } from "undici";
import { createCertificateAuthority } from "./certificates";
import { required } from "./components";
import { accepts, freePort, type RunningProcess, startProcess, temporaryFolder } from "./process";

/**
 * The controllers that objects of the monitoring stack need; without a kubelet pods stay pending until a test patches
 * their status.
 */
const CONTROLLERS = [
  "namespace-controller",
  "cronjob-controller",
  "job-controller",
  "garbage-collector-controller",
  "ttl-after-finished-controller",
];

/** An answer of the API server. */
export interface KubernetesAnswer {
  readonly status: number;
  /** The parsed JSON body; an error is a `Status` object. */
  // biome-ignore lint/suspicious/noExplicitAny: any Kubernetes object
  readonly body: any;
}

/** An API server with etcd and a controller manager on loopback: no nodes, no kubelet. */
export interface KubernetesCluster {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
  /** Bearer token of a member of system:masters. */
  readonly token: string;
  /** Path of the certificate (PEM) that a client has to trust. */
  readonly certificateAuthority: string;
  /** Path of a kubeconfig file with that token. */
  readonly kubeconfig: string;
  /**
   * Sends one request to the API, `path` from `/api` or `/apis` on.
   * `contentType` defaults to `application/json`; `application/apply-patch+yaml` is a server-side apply.
   */
  request(method: string, path: string, body?: object, contentType?: string): Promise<KubernetesAnswer>;
  stop(): Promise<void>;
}

/** Starts etcd, kube-apiserver and kube-controller-manager and returns once all of them answer: some five seconds. */
export const startKubernetes = async (): Promise<KubernetesCluster> => {
  const folder = temporaryFolder("kubernetes");
  const authority = createCertificateAuthority();
  const server = authority.issue(["127.0.0.1", "kubernetes.default.svc"]);
  const dispatcher = new Agent({ connect: { ca: readFileSync(authority.certificate) } });
  const token = randomBytes(16).toString("hex");
  const [etcdPort, etcdPeerPort, apiPort, controllerPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const url = `https://127.0.0.1:${apiPort}`;
  const kubeconfig = join(folder, "kubeconfig");
  const tokens = join(folder, "tokens.csv");
  writeFileSync(tokens, `${token},lab,lab,"system:masters"\n`, { mode: 0o600 });
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(url, authority.certificate, token)), { mode: 0o600 });

  const running: RunningProcess[] = [];
  const stop = async () => {
    for (const process of running.reverse()) await process.stop();
    await dispatcher.destroy();
    authority.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  const request: KubernetesCluster["request"] = async (method, path, body, contentType = "application/json") => {
    const response = await fetch(`${url}${path}`, {
      method,
      dispatcher,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": contentType }) },
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  };

  try {
    running.push(
      await startProcess(
        [
          ...required("etcd").command,
          `--data-dir=${join(folder, "etcd")}`,
          `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
          `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
          `--listen-peer-urls=http://127.0.0.1:${etcdPeerPort}`,
          "--unsafe-no-fsync",
        ],
        { ready: async () => (await fetch(`http://127.0.0.1:${etcdPort}/health`)).ok },
      ),
    );
    running.push(
      await startProcess(
        [
          ...required("kube-apiserver").command,
          `--etcd-servers=http://127.0.0.1:${etcdPort}`,
          "--bind-address=127.0.0.1",
          "--advertise-address=127.0.0.1",
          `--secure-port=${apiPort}`,
          `--cert-dir=${folder}`,
          `--tls-cert-file=${server.certificate}`,
          `--tls-private-key-file=${server.key}`,
          "--service-cluster-ip-range=10.0.0.0/24",
          "--authorization-mode=RBAC",
          `--token-auth-file=${tokens}`,
          "--service-account-issuer=https://kubernetes.default.svc",
          `--service-account-key-file=${server.certificate}`,
          `--service-account-signing-key-file=${server.key}`,
          // Otherwise pods would be rejected until a controller has created their service account, and none here does.
          "--disable-admission-plugins=ServiceAccount",
          "--endpoint-reconciler-type=none",
        ],
        { ready: async () => (await request("GET", "/readyz")).status === 200, seconds: 60 },
      ),
    );
    running.push(
      await startProcess(
        [
          ...required("kube-controller-manager").command,
          `--kubeconfig=${kubeconfig}`,
          "--bind-address=127.0.0.1",
          `--secure-port=${controllerPort}`,
          `--cert-dir=${folder}`,
          `--controllers=${CONTROLLERS.join(",")}`,
          "--leader-elect=false",
        ],
        { ready: () => accepts(controllerPort), seconds: 60 },
      ),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, token, certificateAuthority: authority.certificate, kubeconfig, request, stop };
};

const kubeconfigOf = (server: string, certificateAuthority: string, token: string): object => ({
  apiVersion: "v1",
  kind: "Config",
  clusters: [{ name: "lab", cluster: { server, "certificate-authority": certificateAuthority } }],
  users: [{ name: "lab", user: { token } }],
  contexts: [{ name: "lab", context: { cluster: "lab", user: "lab" } }],
  "current-context": "lab",
});
