import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { required } from "./components";
import { type RunningProcess, startProcess, temporaryFolder } from "./process";

/** How a registry is run. The defaults are those of the reference site's private registry, without its access control. */
export interface RegistryOptions {
  /**
   * The component that runs: "registry" is 2.8.3, "registry-v3" is distribution v3.
   * @default "registry"
   */
  readonly component?: "registry" | "registry-v3";
  /**
   * The storage root: the folder that contains `docker/registry/v2`. `stop` does not remove a folder given here.
   * @default a temporary folder, removed by `stop`
   */
  readonly root?: string;
  /**
   * The port on loopback.
   * @default a free one
   */
  readonly port?: number;
  /** @default no access control */
  readonly htpasswd?: LabCredentials & {
    /** bcrypt's cost, 4 to 31: each step doubles the time of every request. */
    readonly cost: number;
  };
  /**
   * Sends clients to a token service. `rootcertbundle` is the path of the CA of the service's certificate.
   * @default no access control
   */
  readonly token?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly rootcertbundle: string;
  };
  /**
   * Makes it a pull-through cache of another registry.
   * @default none
   */
  readonly proxy?: Partial<LabCredentials> & { readonly url: string };
  /**
   * The largest page of `_catalog`.
   * @default the registry's own, 1000
   */
  readonly maxEntries?: number;
  /**
   * Whether DELETE is allowed.
   * @default true
   */
  readonly deletion?: boolean;
  /**
   * Maintenance mode: PUT, POST and DELETE answer 405.
   * @default false
   */
  readonly readOnly?: boolean;
  /**
   * The in-memory cache of blob descriptors, which keeps answering for lost blobs.
   * @default true
   */
  readonly blobDescriptorCache?: boolean;
  /**
   * Paths of PEM files to serve TLS with.
   * @default plain HTTP
   */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export interface LabCredentials {
  readonly username: string;
  readonly password: string;
}

/** A registry running on loopback. */
export interface LabRegistry {
  /** `http(s)://127.0.0.1:<port>`: unchanged by a restart. */
  readonly url: string;
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** The storage root: the folder that contains `docker/registry/v2`. */
  readonly root: string;
  /** The log of the current process. */
  output(): string;
  /** Restarts it on the same port and root, optionally with other options. */
  restart(changes?: Omit<RegistryOptions, "root" | "port" | "component">): Promise<void>;
  /** Ends the process but keeps the storage, so that the registry is down until `restart`. */
  shutDown(): Promise<void>;
  /**
   * Runs the registry's own garbage-collect on its storage, whether it is up or down, and returns its output.
   * `deleteUntagged` is `-m`, `dryRun` is `-d`; both default to false.
   */
  collectGarbage(options?: { readonly deleteUntagged?: boolean; readonly dryRun?: boolean }): Promise<string>;
  /** Ends the process and removes everything created for it. */
  stop(): Promise<void>;
}

/** The configuration file of a registry as data: https://distribution.github.io/distribution/about/configuration/ */
export const labRegistryConfiguration = (
  options: RegistryOptions,
  paths: { readonly root: string; readonly htpasswd: string },
  port: number,
): object => ({
  version: 0.1,
  log: { level: "info", accesslog: { disabled: true } },
  storage: {
    filesystem: { rootdirectory: paths.root },
    delete: { enabled: options.deletion ?? true },
    ...((options.blobDescriptorCache ?? true) && { cache: { blobdescriptor: "inmemory" } }),
    maintenance: { uploadpurging: { enabled: false }, readonly: { enabled: options.readOnly ?? false } },
  },
  // Without it, layers with urls are rejected.
  validation: { manifests: { urls: { allow: ["^https?://"] } } },
  ...(options.maxEntries !== undefined && { catalog: { maxentries: options.maxEntries } }),
  ...(options.htpasswd !== undefined && { auth: { htpasswd: { realm: "lab", path: paths.htpasswd } } }),
  ...(options.token !== undefined && { auth: { token: options.token } }),
  ...(options.proxy !== undefined && {
    proxy: {
      remoteurl: options.proxy.url,
      ...(options.proxy.username !== undefined && { username: options.proxy.username }),
      ...(options.proxy.password !== undefined && { password: options.proxy.password }),
    },
  }),
  http: {
    addr: `127.0.0.1:${port}`,
    secret: "the-same-over-restarts",
    ...(options.tls !== undefined && { tls: options.tls }),
  },
});

/**
 * A line of an htpasswd file with a bcrypt hash (`$2b$`). The C library computes it, through perl, which every Debian has; the
 * password is passed in the environment, so that it is in no argument list.
 */
export const labHtpasswdLine = (user: LabCredentials, cost: number): string => {
  const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const salt = [...randomBytes(21)].map((byte) => alphabet[byte % 64]).join("");
  // The 22nd character carries two bits only: a dot is all zeros, hence always canonical.
  const setting = `$2b$${String(cost).padStart(2, "0")}$${salt}.`;
  const hash = execFileSync("perl", ["-e", "print crypt($ENV{PASSWORD}, $ENV{SETTING})"], {
    encoding: "utf8",
    env: { PASSWORD: user.password, SETTING: setting },
  });
  if (!hash.startsWith("$2b$")) throw new Error(`no bcrypt in this machine's libcrypt: use Debian 12 or newer`);
  return `${user.username}:${hash}\n`;
};

/** Starts a registry on loopback and returns once it listens. */
export const startRegistry = async (initial: RegistryOptions = {}): Promise<LabRegistry> => {
  const { command } = required(initial.component ?? "registry");
  const folder = temporaryFolder("registry");
  const root = initial.root ?? join(folder, "storage");
  const paths = { root, htpasswd: join(folder, "htpasswd"), configuration: join(folder, "config.yml") };
  mkdirSync(root, { recursive: true });
  let options = initial;
  let port = initial.port ?? 0;

  const launch = async (): Promise<RunningProcess> => {
    if (options.htpasswd !== undefined) {
      writeFileSync(paths.htpasswd, labHtpasswdLine(options.htpasswd, options.htpasswd.cost), { mode: 0o600 });
    }
    writeFileSync(paths.configuration, stringify(labRegistryConfiguration(options, paths, port)), { mode: 0o600 });
    const launched = await startProcess([...command, "serve", paths.configuration], {
      ready: ({ output }) => listeningPort(output()) !== undefined,
      // By default v3 sends traces to a collector on this machine.
      environment: { OTEL_TRACES_EXPORTER: "none" },
    });
    port = listeningPort(launched.output()) ?? port;
    return launched;
  };
  let process = await launch();
  const host = `127.0.0.1:${port}`;

  return {
    url: `${initial.tls === undefined ? "http" : "https"}://${host}`,
    host,
    root,
    output: () => process.output(),
    restart: async (changes = {}) => {
      await process.stop();
      options = { ...options, ...changes };
      process = await launch();
    },
    shutDown: () => process.stop(),
    collectGarbage: async ({ deleteUntagged = false, dryRun = false } = {}) => {
      const [program, ...first] = command;
      const flags = [...(deleteUntagged ? ["--delete-untagged"] : []), ...(dryRun ? ["--dry-run"] : [])];
      const { stdout } = await promisify(execFile)(
        program,
        [...first, "garbage-collect", ...flags, paths.configuration],
        { maxBuffer: 256 * 1024 * 1024 },
      );
      return stdout;
    },
    stop: async () => {
      await process.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const listeningPort = (log: string): number | undefined => {
  const match = /listening on 127\.0\.0\.1:(\d+)/.exec(log);
  return match?.[1] === undefined ? undefined : Number(match[1]);
};
