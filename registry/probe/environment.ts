import { BLOB_CHECKS, type BlobCheck } from "../oci/blob-check";
import { DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT } from "../oci/client";
import type { Credentials } from "../oci/credentials";
import { RegistryError } from "../oci/errors";
import { isRepository, parseRegistry } from "../oci/reference";
import { ROLES, type Role } from "../oci/repository";
import type { Shard } from "../oci/walk";

/** What one run of the probe does. */
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
  concurrency: number;
  blobs: BlobCheck;
  /** Seconds without a byte that end a request. */
  timeout: number;
  /** Seconds for the whole run, the push included; null without a limit. */
  deadline: number | null;
  /** Walked beside what the catalog lists. */
  repositories: string[];
  shard: Shard;
}

const LARGEST = 1_000_000;

/** Reads variables one by one and keeps every mistake, so that all are told at once. */
class Variables {
  readonly mistakes: string[] = [];

  constructor(private readonly environment: NodeJS.ProcessEnv) {}

  /** An empty variable counts as not set. */
  text(name: string): string | null {
    return this.environment[name] || null;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === null) this.mistakes.push(`${name} is not set`);
    return value ?? "";
  }

  number(name: string, fallback: number, least: number): number {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= LARGEST) return value;
    this.mistakes.push(`${name} is ${JSON.stringify(text)}, allowed are whole numbers from ${least} to ${LARGEST}`);
    return fallback;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = allowed.find((each) => each === text);
    if (value === undefined) {
      this.mistakes.push(`${name} is ${JSON.stringify(text)}, allowed are ${allowed.join(", ")}`);
    }
    return value ?? fallback;
  }

  parsed<T>(name: string, parse: (text: string) => T): T | null {
    const text = this.required(name);
    if (text === "") return null;
    try {
      return parse(text);
    } catch (error) {
      this.mistakes.push(`${name}: ${(error as Error).message}`);
      return null;
    }
  }
}

function parsePushgateway(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new Error(`${JSON.stringify(text)} is not an http or https url`);
  }
  return url;
}

/** What the blobs of each role are checked by unless told otherwise: asking a pull-through cache would fill it. */
export function defaultBlobCheck(role: Role): BlobCheck {
  return role === "proxy" ? "none" : "last-byte";
}

/**
 * Reads the probe's settings from environment variables.
 *
 * REGISTRY (url or host:port), PUSHGATEWAY (base url) are required. REGISTRY_INSTANCE (the registry's host),
 * REGISTRY_ROLE (private), REG_USER and REG_PASS (none), REGISTRY_CA_FILE (none), PUSHGATEWAY_JOB
 * (registry-integrity-probe), CONCURRENCY (8), BLOBS (last-byte, or none for a proxy), TIMEOUT_SECONDS (30),
 * DEADLINE_SECONDS (no limit), REPOSITORIES (comma separated, none), SHARDS (1) and JOB_COMPLETION_INDEX (0) are not. Of a
 * proxy the catalog alone is asked for, so BLOBS and REPOSITORIES say nothing there.
 *
 * @throws RegistryError `bad-input` that names every mistake; no value of a secret is repeated
 */
export function probeSettings(environment: NodeJS.ProcessEnv): ProbeSettings {
  const variables = new Variables(environment);
  const registry = variables.parsed("REGISTRY", parseRegistry);
  const pushgateway = variables.parsed("PUSHGATEWAY", parsePushgateway);
  const role = variables.oneOf("REGISTRY_ROLE", ROLES, "private");
  const username = variables.text("REG_USER");
  const password = variables.text("REG_PASS");
  if ((username === null) !== (password === null)) {
    variables.mistakes.push(`${username === null ? "REG_USER" : "REG_PASS"} is not set and the other one is`);
  }
  const repositories = (variables.text("REPOSITORIES") ?? "").split(",").flatMap((name) => name.trim() || []);
  for (const name of repositories) {
    if (!isRepository(name))
      variables.mistakes.push(`REPOSITORIES has ${JSON.stringify(name)}, which is no repository`);
  }
  const count = variables.number("SHARDS", 1, 1);
  const index = variables.number("JOB_COMPLETION_INDEX", 0, 0);
  if (count > 1 && index >= count) variables.mistakes.push(`JOB_COMPLETION_INDEX is ${index} of ${count} SHARDS`);
  const settings = {
    role,
    credentials: username !== null && password !== null ? ({ kind: "password", username, password } as const) : null,
    caFile: variables.text("REGISTRY_CA_FILE"),
    job: variables.text("PUSHGATEWAY_JOB") ?? "registry-integrity-probe",
    concurrency: variables.number("CONCURRENCY", DEFAULT_CONCURRENCY, 1),
    blobs: variables.oneOf("BLOBS", BLOB_CHECKS, defaultBlobCheck(role)),
    timeout: variables.number("TIMEOUT_SECONDS", DEFAULT_TIMEOUT, 1),
    deadline: variables.number("DEADLINE_SECONDS", 0, 1) || null,
    repositories,
    shard: { index: count === 1 ? 0 : index, count },
  };
  if (registry === null || pushgateway === null || variables.mistakes.length > 0) {
    throw new RegistryError("bad-input", variables.mistakes.join("; "), "correct the probe's environment");
  }
  return { ...settings, registry, pushgateway, instance: variables.text("REGISTRY_INSTANCE") ?? registry.host };
}
