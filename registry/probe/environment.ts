import { BLOB_CHECKS, type BlobCheck } from "../oci/blob-check";
import { DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT } from "../oci/client";
import type { Credentials } from "../oci/credentials";
import { RegistryError } from "../oci/errors";
import { isPlatform } from "../oci/manifest";
import { isRepository, isTag, parseRegistry } from "../oci/reference";
import { ROLES, type Role } from "../oci/repository";
import type { Shard } from "../oci/walk";
import { isRegistryName, registryNames } from "../workloads/image-reference";
import type { ClusterAccess } from "./cluster";
import { parsePushgateway, Variables } from "./variables";

/** The settings of one run of the probe. */
export interface ProbeSettings {
  registry: URL;
  /** Value of the label `instance`. */
  instance: string;
  role: Role;
  credentials: Credentials | null;
  /** Path of a PEM file. */
  caFile: string | null;
  pushgateway: URL;
  /** Value of the label `job`. */
  job: string;
  /** Value of the label `cluster`; null without it. */
  cluster: string | null;
  concurrency: number;
  /** Requests a second; null without a limit. */
  rate: number | null;
  blobs: BlobCheck;
  /** The number of runs a day among which the blobs are divided for reading their last byte; null: none is read. */
  turns: number | null;
  /** All if empty. */
  platforms: string[];
  /** Seconds without a byte after which a request is aborted. */
  timeout: number;
  /** Seconds for the whole run, including the push; null for no limit. */
  deadline: number | null;
  /** Walked instead of the repositories in the catalog; empty: the catalog is read. */
  repositories: string[];
  shard: Shard;
  /** Settings for verifying the cluster's workloads too; null: they are not verified. */
  workloads: WorkloadSettings | null;
}

/** How the probe verifies the workloads of its cluster. */
export interface WorkloadSettings extends ClusterAccess {
  /** The names under which image references know the registry. */
  names: string[];
  /** The cluster's name and the account for the report in the registry; null: nothing is reported. */
  report: { cluster: string; credentials: Credentials } | null;
}

/** The default blob check for each role: requesting blobs from a pull-through cache would fill it. */
export const defaultBlobCheck = (role: Role): BlobCheck => (role === "proxy" ? "none" : "last-byte");

/** Every variable that the probe reads, with its values, its default and its meaning. */
export const PROBE_VARIABLES = {
  REGISTRY: "required: the registry, as a url or host:port",
  REGISTRY_INSTANCE: "value of the label instance; default: the registry's host",
  REGISTRY_ROLE: "private, or proxy for a pull-through cache, of which only the catalog is asked for; default: private",
  REG_USER: "user name; default: none",
  REG_PASS: "password; default: none",
  REGISTRY_CA_FILE: "PEM file of a private certificate authority, trusted beside the public ones; default: none",
  PUSHGATEWAY: "required: base url of the Pushgateway",
  CLUSTER: "value of the label cluster, where several clusters share the Pushgateway; default: none",
  PUSHGATEWAY_JOB: "value of the label job; default: registry-integrity-probe",
  CONCURRENCY: "requests at once; default: 8",
  RATE: "requests a second, at most; default: as many as the registry answers",
  BLOBS: "how configs and layers are checked: none, head, last-byte or hash; default: last-byte, none for a proxy",
  LAST_BYTE_TURNS:
    "with BLOBS=head: each blob is asked for its last byte in one of so many runs a day, in its turn; default: in none",
  PLATFORMS: "of an index only these platforms have to be there, separated by commas; default: all",
  REPOSITORIES:
    "walked instead of what the catalog lists, which is then not asked for, separated by commas; default: none",
  TIMEOUT_SECONDS: "no byte for that long ends a request; default: 30",
  DEADLINE_SECONDS: "the whole run, with its report, ends by then; default: no limit",
  SHARDS: "how many probes share the registry; default: 1",
  SERVICE_ACCOUNT:
    "folder of the token and the ca.crt of a service account that may list pods and CronJobs: the images that they need are verified too, by the first shard; default: they are not",
  KUBERNETES_SERVICE_HOST: "with SERVICE_ACCOUNT: the API server; Kubernetes sets it",
  KUBERNETES_SERVICE_PORT: "with SERVICE_ACCOUNT: its port; Kubernetes sets it; default: 443",
  REGISTRY_NAMES:
    "with SERVICE_ACCOUNT: the hosts, with their ports, by which images of the registry are named, separated by commas; default: that of REGISTRY",
  IN_USE_TAG:
    "with SERVICE_ACCOUNT and an account to push with: what runs is reported in registry-warden/in-use under this tag; default: it is not",
  PUSH_USER: "with IN_USE_TAG: user name of an account that may push there; default: none, and nothing is reported",
  PUSH_PASS: "its password",
  JOB_COMPLETION_INDEX: "which of them this is, from 0, as Kubernetes numbers the pods of an indexed Job; default: 0",
} as const;

type Variable = keyof typeof PROBE_VARIABLES;

/**
 * Reads the probe's settings from environment variables: see PROBE_VARIABLES.
 *
 * @throws RegistryError `bad-input` that names every error; no secret is repeated
 */
export const probeSettings = (environment: NodeJS.ProcessEnv): ProbeSettings => {
  const variables = new Variables<Variable>(environment);
  const registry = variables.parsed("REGISTRY", parseRegistry);
  const pushgateway = variables.parsed("PUSHGATEWAY", parsePushgateway);
  const role = variables.oneOf("REGISTRY_ROLE", ROLES, "private");
  const count = variables.number("SHARDS", 1, 1);
  const index = variables.number("JOB_COMPLETION_INDEX", 0, 0);
  if (count > 1 && index >= count) variables.errors.push(`JOB_COMPLETION_INDEX is ${index} of ${count} SHARDS`);
  const blobs = variables.oneOf("BLOBS", BLOB_CHECKS, defaultBlobCheck(role));
  const turns = variables.number("LAST_BYTE_TURNS", 0, 1) || null;
  if (turns !== null && blobs !== "head") variables.errors.push(`LAST_BYTE_TURNS goes with BLOBS=head, not ${blobs}`);
  const settings = {
    role,
    credentials: variables.account("REG_USER", "REG_PASS"),
    caFile: variables.text("REGISTRY_CA_FILE"),
    job: variables.text("PUSHGATEWAY_JOB") ?? "registry-integrity-probe",
    cluster: variables.text("CLUSTER"),
    concurrency: variables.number("CONCURRENCY", DEFAULT_CONCURRENCY, 1),
    rate: variables.number("RATE", 0, 0.01, false) || null,
    blobs,
    turns,
    platforms: variables.list("PLATFORMS", isPlatform, "platform"),
    timeout: variables.number("TIMEOUT_SECONDS", DEFAULT_TIMEOUT, 1),
    deadline: variables.number("DEADLINE_SECONDS", 0, 1) || null,
    repositories: variables.list("REPOSITORIES", isRepository, "repository"),
    shard: { index: count === 1 ? 0 : index, count },
  };
  const workloads = registry === null || settings.shard.index > 0 ? null : workloadSettings(variables, registry);
  if (registry === null || pushgateway === null || variables.errors.length > 0) {
    throw new RegistryError("bad-input", variables.errors.join("; "), "correct the probe's environment");
  }
  return {
    ...settings,
    workloads,
    registry,
    pushgateway,
    instance: variables.text("REGISTRY_INSTANCE") ?? registry.host,
  };
};

const workloadSettings = (variables: Variables<Variable>, registry: URL): WorkloadSettings | null => {
  const serviceAccount = variables.text("SERVICE_ACCOUNT");
  if (serviceAccount === null) return null;
  const host = variables.required("KUBERNETES_SERVICE_HOST");
  const port = variables.number("KUBERNETES_SERVICE_PORT", 443, 1);
  const origin = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(origin)) {
    variables.errors.push(`KUBERNETES_SERVICE_HOST is ${JSON.stringify(host)}, which is no host`);
    return null;
  }
  const names = registryNames(variables.list("REGISTRY_NAMES", isRegistryName, "host"), registry);
  const cluster = variables.text("IN_USE_TAG");
  if (cluster !== null && !isTag(cluster))
    variables.errors.push(`IN_USE_TAG is ${JSON.stringify(cluster)}, which is no tag`);
  const credentials = variables.account("PUSH_USER", "PUSH_PASS");
  return {
    serviceAccount,
    api: new URL(origin),
    names,
    report: cluster === null || credentials === null ? null : { cluster, credentials },
  };
};
