import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { isJsonObject, type JsonObject } from "../../text/json-object";
import { RegistryError } from "./errors";

export type Credentials =
  | { kind: "password"; username: string; password: string }
  /** What `docker login` keeps for a token service: a refresh token (OAuth 2, RFC 6749 section 6). */
  | { kind: "identity-token"; token: string };

/** Docker Hub's credentials are stored under this key, whichever of its hosts is used. */
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

const HELPER_NAME = /^[A-Za-z0-9._-]+$/;
/** A helper may query a keychain but must not wait for user input. Milliseconds. */
const HELPER_TIMEOUT = 15_000;

/** The key under which Docker stored a host's credentials: the bare host or a url of it, with or without a port. */
const keyOf = (entries: JsonObject, host: string): string | undefined => {
  const hosts = [host, `${host}:443`, `${host}:80`];
  if (DOCKER_HUB_HOSTS.includes(host)) hosts.push(...DOCKER_HUB_HOSTS);
  const keys = Object.keys(entries);
  const hostIn = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return keys.find((key) => hosts.includes(key)) ?? keys.find((key) => hosts.includes(hostIn(key)));
};

const fromPair = (username: string, secret: string): Credentials => {
  // With this user name a helper signals that the secret is an identity token.
  return username === "<token>"
    ? { kind: "identity-token", token: secret }
    : { kind: "password", username, password: secret };
};

const fromAuth = (entry: JsonObject): Credentials | null => {
  if (typeof entry.identitytoken === "string" && entry.identitytoken !== "") {
    return { kind: "identity-token", token: entry.identitytoken };
  }
  if (typeof entry.auth === "string" && entry.auth !== "") {
    const pair = Buffer.from(entry.auth, "base64").toString("utf8");
    const colon = pair.indexOf(":");
    // Docker pads the password with zero bytes.
    if (colon > 0) return fromPair(pair.slice(0, colon), pair.slice(colon + 1).replace(/\0+$/, ""));
  }
  if (typeof entry.username === "string" && typeof entry.password === "string") {
    return fromPair(entry.username, entry.password);
  }
  return null;
};

const helperFailed = (program: string, why: string): RegistryError =>
  new RegistryError(
    "bad-credentials",
    `the credential helper ${program} ${why}`,
    "repair it, or give the credentials with --username and --password-file, or REG_USER and REG_PASS",
  );

/**
 * Asks a credential helper for a server: the server's name on its standard input, JSON on its standard output.
 *
 * https://github.com/docker/docker-credential-helpers#development
 */
const askHelper = async (name: string, server: string, env: NodeJS.ProcessEnv): Promise<Credentials | null> => {
  if (!HELPER_NAME.test(name)) throw helperFailed(JSON.stringify(name), "has a name that is no file name");
  const program = `docker-credential-${name}`;
  const { status, output } = await new Promise<{ status: number | null; output: string }>((resolve, reject) => {
    // Unlike spawn's own timeout, it does not keep the process alive when the helper does not exist.
    const signal = AbortSignal.timeout(HELPER_TIMEOUT);
    const child = spawn(program, ["get"], { env, stdio: ["pipe", "pipe", "ignore"], signal });
    let output = "";
    child.stdout.on("data", (piece: Buffer) => {
      output += piece.toString("utf8");
      if (output.length > 1024 * 1024) child.kill();
    });
    child.on("error", () => {
      const why = signal.aborted ? `gave no answer in ${HELPER_TIMEOUT / 1000} s` : "cannot be started";
      reject(helperFailed(program, why));
    });
    child.on("close", (status) => resolve({ status, output }));
    // A helper may answer without reading its input.
    child.stdin.on("error", () => {});
    child.stdin.end(server);
  });
  if (status !== 0) {
    if (/credentials not found/i.test(output)) return null;
    throw helperFailed(program, `failed (status ${status ?? "none, it was stopped"})`);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    throw helperFailed(program, "answered no json");
  }
  if (!isJsonObject(answer) || typeof answer.Username !== "string" || typeof answer.Secret !== "string") {
    throw helperFailed(program, "answered without Username and Secret");
  }
  return fromPair(answer.Username, answer.Secret);
};

/**
 * The credentials in a Docker configuration for a registry: its own helper first, then the common store, then the file itself.
 *
 * @param config the parsed `config.json`
 * @param host `host` or `host:port`, as in the registry's url
 * @param environment for the helpers
 * @throws RegistryError `bad-credentials` when a helper fails
 */
export const credentialsIn = async (
  config: unknown,
  host: string,
  environment: NodeJS.ProcessEnv,
): Promise<Credentials | null> => {
  if (!isJsonObject(config)) return null;
  const helpers = isJsonObject(config.credHelpers) ? config.credHelpers : {};
  const helped = keyOf(helpers, host);
  const helper = helped === undefined ? undefined : helpers[helped];
  if (helped !== undefined && typeof helper === "string" && helper !== "")
    return askHelper(helper, helped, environment);

  const entries = isJsonObject(config.auths) ? config.auths : {};
  const key = keyOf(entries, host);
  const { credsStore } = config;
  if (typeof credsStore === "string" && credsStore !== "") {
    const server = DOCKER_HUB_HOSTS.includes(host) ? DOCKER_HUB_KEY : host;
    const stored = await askHelper(credsStore, key ?? server, environment);
    if (stored !== null) return stored;
  }
  const entry = key === undefined ? undefined : entries[key];
  return isJsonObject(entry) ? fromAuth(entry) : null;
};

/** Where Docker keeps its configuration: `$DOCKER_CONFIG` or `~/.docker`. */
export const dockerConfigPath = (environment: NodeJS.ProcessEnv): string =>
  join(environment.DOCKER_CONFIG || join(environment.HOME || homedir(), ".docker"), "config.json");

/**
 * The files that may hold credentials, in order: the one Podman is configured to use, Docker's, then Podman's own locations.
 *
 * https://docs.podman.io/en/latest/markdown/podman-login.1.html#authfile-path
 */
const configPaths = (environment: NodeJS.ProcessEnv): string[] => {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, HOME } = environment;
  const podman = join("containers", "auth.json");
  return [
    ...(REGISTRY_AUTH_FILE ? [REGISTRY_AUTH_FILE] : []),
    dockerConfigPath(environment),
    ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, podman)] : []),
    join(XDG_CONFIG_HOME || join(HOME || homedir(), ".config"), podman),
  ];
};

/** The parsed file; null if it does not exist or is empty. @throws RegistryError `bad-credentials` */
const configIn = (path: string): unknown => {
  try {
    const text = readFileSync(path, "utf8");
    return text.trim() === "" ? null : JSON.parse(text);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    const why = error instanceof SyntaxError ? "is not json" : "cannot be read";
    const hint = "repair it, or set DOCKER_CONFIG to another folder (REGISTRY_AUTH_FILE to another file)";
    throw new RegistryError("bad-credentials", `${path} ${why}`, hint);
  }
};

/**
 * The credentials that `docker login` or `podman login` left for a registry; null when there are none.
 *
 * @throws RegistryError `bad-credentials` when a file cannot be read or is not JSON, or a helper fails
 */
export const dockerCredentials = async (environment: NodeJS.ProcessEnv, host: string): Promise<Credentials | null> => {
  for (const path of configPaths(environment)) {
    const found = await credentialsIn(configIn(path), host, environment);
    if (found !== null) return found;
  }
  return null;
};
