import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { readCertificates } from "../registry/oci/certificates";
import { DEFAULT_TIMEOUT } from "../registry/oci/client";
import { type Credentials, dockerCredentials } from "../registry/oci/credentials";
import { RegistryError } from "../registry/oci/errors";
import { isRepository } from "../registry/oci/reference";
import { printError } from "./output";

/** The options that determine how a command reaches a registry. */
export interface AccessOptions {
  username?: string;
  passwordFile?: string;
  caFile?: string;
  insecureSkipTlsVerify?: true;
  timeout: number;
  rate?: number;
  verbose?: true;
}

/** The arguments for a client of the registry. */
export interface ClientAccess {
  url: URL;
  credentials: Credentials | null;
  /** Whether the credentials were given for this run. */
  credentialsGiven: boolean;
  timeout: number;
  rate?: number;
  onExchange?: (line: string) => void;
  ca?: string;
  insecureSkipTlsVerify?: true;
}

export const addAccessOptions = (command: Command): Command =>
  command
    .option("--username <name>", "with --password-file, or REG_PASS in the environment")
    .option("--password-file <file>", "holds the password, and nothing else")
    .option("--ca-file <file>", "PEM certificates of a private certificate authority")
    .option("--insecure-skip-tls-verify", "accept any certificate")
    .option("--timeout <seconds>", "no byte for that long ends a request", number(0.1, 86_400, false), DEFAULT_TIMEOUT)
    .option("--rate <n>", "requests a second, at most", number(0.01, 1_000_000, false))
    .option("-v, --verbose", "a line on standard error for each request: method, url, status, bytes, milliseconds");

/**
 * The credentials in the options, else in REG_USER and REG_PASS, else those that `docker login` left for the registry.
 *
 * @throws RegistryError when a user name or password is missing, or a file cannot be read
 */
export const accessTo = async (
  url: URL,
  options: AccessOptions,
  environment: NodeJS.ProcessEnv,
): Promise<ClientAccess> => {
  const { username, passwordFile, caFile, timeout, rate, verbose, insecureSkipTlsVerify } = options;
  const user = username ?? (environment.REG_USER || undefined);
  const password = passwordFile === undefined ? environment.REG_PASS || undefined : readPassword(passwordFile);
  const given = credentialsOf(user, password, "give both: --username and --password-file, or REG_USER and REG_PASS");
  return {
    url,
    credentials: given ?? (await dockerCredentials(environment, url.host)),
    credentialsGiven: given !== null,
    timeout,
    rate,
    onExchange: verbose && printError,
    ca: caFile === undefined ? undefined : readCertificates(caFile),
    insecureSkipTlsVerify,
  };
};

/** Credentials, if both parts are given; neither is fine too. @throws RegistryError `bad-credentials` */
export const credentialsOf = (
  user: string | undefined,
  password: string | undefined,
  hint: string,
): Credentials | null => {
  if (user === undefined && password === undefined) return null;
  if (user !== undefined && password !== undefined) return { kind: "password", username: user, password };
  const missing = user === undefined ? "the user name" : "the password";
  throw new RegistryError("bad-credentials", `${missing} of the registry is missing`, hint);
};

const readPassword = (path: string): string => {
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch {
    throw new RegistryError("bad-input", `the password file ${path} cannot be read`, "give a file with the password");
  }
};

/** Parses a number; commander adds the name of the option to the error. */
export const number =
  (least: number, most: number, whole: boolean): ((text: string) => number) =>
  (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`give a ${whole ? "whole number" : "number"} from ${least} to ${most}`);
  };

/** Collects the values of a repeatable option and checks their form. */
export const collect =
  (is: (text: unknown) => text is string, what: string): ((text: string, before: string[]) => string[]) =>
  (text, before) => {
    if (!is(text)) throw new InvalidArgumentError(`${JSON.stringify(text)} is not ${what}`);
    return [...before, text];
  };

/** `--repository`, repeatable. */
export const repositories = collect(isRepository, "a repository");
