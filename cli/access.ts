import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { readCertificates } from "../registry/oci/certificates";
import { type Credentials, dockerCredentials } from "../registry/oci/credentials";
import { RegistryError } from "../registry/oci/errors";

/** How a command reaches a registry. */
export interface AccessOptions {
  username?: string;
  passwordFile?: string;
  caFile?: string;
  insecureSkipTlsVerify?: true;
  timeout: number;
}

/** What a client of the registry is made with. */
export interface Access {
  url: URL;
  credentials: Credentials | null;
  timeout: number;
  ca?: string;
  insecureSkipTlsVerify?: true;
}

const DEFAULT_TIMEOUT = 30;

export function addAccessOptions(command: Command): Command {
  return command
    .option("--username <name>", "with --password-file, or REG_PASS in the environment")
    .option("--password-file <file>", "holds the password, and nothing else")
    .option("--ca-file <file>", "PEM certificates of a private certificate authority")
    .option("--insecure-skip-tls-verify", "accept any certificate")
    .option("--timeout <seconds>", "no byte for that long ends a request", seconds, DEFAULT_TIMEOUT);
}

/**
 * The credentials of the options, else of REG_USER and REG_PASS, else what `docker login` left for the registry.
 *
 * @throws RegistryError when a half of them is missing, or a file cannot be read
 */
export async function accessTo(url: URL, options: AccessOptions, environment: NodeJS.ProcessEnv): Promise<Access> {
  const { username, passwordFile, caFile, timeout, insecureSkipTlsVerify } = options;
  const user = username ?? (environment.REG_USER || undefined);
  const password = passwordFile === undefined ? environment.REG_PASS || undefined : readPassword(passwordFile);
  const given = credentialsOf(user, password, "give both: --username and --password-file, or REG_USER and REG_PASS");
  return {
    url,
    credentials: given ?? (await dockerCredentials(environment, url.host)),
    timeout,
    ca: caFile === undefined ? undefined : readCertificates(caFile),
    insecureSkipTlsVerify,
  };
}

/** A pair of which both or neither is given. @throws RegistryError `bad-credentials` */
export function credentialsOf(
  user: string | undefined,
  password: string | undefined,
  hint: string,
): Credentials | null {
  if (user === undefined && password === undefined) return null;
  if (user !== undefined && password !== undefined) return { kind: "password", username: user, password };
  const missing = user === undefined ? "the user name" : "the password";
  throw new RegistryError("bad-credentials", `${missing} of the registry is missing`, hint);
}

function readPassword(path: string): string {
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch {
    throw new RegistryError("bad-input", `the password file ${path} cannot be read`, "give a file with the password");
  }
}

function seconds(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0.1 && value <= 86_400) return value;
  throw new InvalidArgumentError("allowed are numbers from 0.1 to 86400");
}
