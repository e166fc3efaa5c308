import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { kubectl } from "../handbook/cluster";
import { sshTo } from "../handbook/places";
import { sh } from "../handbook/prose";
import { COST, htpasswdLine, isUser } from "../registry/htpasswd";
import { RegistryError } from "../registry/oci/errors";
import { PROBE_ACCOUNT } from "../site/registry";
import { hasCluster, hasRegistry, privateServices, registryHost, type Site } from "../site/schema";
import { printError, printText } from "./output";
import { newPassword } from "./password";
import { selectedSite } from "./selected-site";

interface HtpasswdOptions {
  probe?: true;
  accountFile?: string;
  site?: string;
}

const PROBE = { user: PROBE_ACCOUNT, accountFile: `${PROBE_ACCOUNT}.env`, bytes: 32 } as const;

const user = (text: string): string => {
  if (isUser(text)) return text;
  throw new InvalidArgumentError("give a name without white space and colons that does not begin with #");
};

/** The site, if the program has one: it also runs outside a checkout, and needs the site only for its advice. */
const siteIfAny = (option: string | undefined): Site | undefined => {
  if (option !== undefined || process.env.WARDEN_SITE) return selectedSite(option).site;
  try {
    return selectedSite(option).site;
  } catch {
    return undefined;
  }
};

/** Where to put the line; printed to standard error, so that standard output can be redirected to the file. */
const whereLineGoes = (site: Site | undefined): string[] => {
  if (site === undefined || !hasRegistry(site))
    return ["add the line to the htpasswd file of the registry, into the same file, mode 0600"];
  const host = registryHost(site);
  return privateServices(site.registry).flatMap(({ htpasswd }) => {
    const append = sh`cat >>${htpasswd}`;
    const remote = host.ssh.user === "root" ? append : sh`sudo sh -c ${append.text}`;
    return [
      `add the line to ${htpasswd} on ${host.name}, into the same file, mode 0600; the registry reads it at the next request`,
      sh`  … | ${sshTo(host)} ${remote.text}`.text,
    ];
  });
};

const whereAccountGoes = (site: Site | undefined, file: string): string[] => [
  `${file} holds REG_USER and REG_PASS: give them to the probe, then remove it`,
  ...(site?.monitoring?.probes ?? []).flatMap(({ credentials }) => {
    if (site !== undefined && hasCluster(site) && credentials?.from === "existing-secret")
      return [sh`  ${kubectl(site)} create secret generic ${credentials.secret} --from-env-file ${file}`.text];
    if (site !== undefined && hasRegistry(site) && credentials?.from === "file")
      return [
        sh`  ${sshTo(registryHost(site))} ${sh`install -m 0600 /dev/stdin ${credentials.file}`.text} <${file}`.text,
      ];
    return [];
  }),
];

/** Never write a password into an existing file. */
const writeAccount = (file: string, name: string, password: string): void => {
  try {
    writeFileSync(file, `REG_USER=${name}\nREG_PASS=${password}\n`, { mode: 0o600, flag: "wx" });
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code;
    throw new RegistryError(
      "bad-input",
      `the account file ${file} ${why === "EEXIST" ? "exists" : `cannot be written (${why})`}`,
      "name another with --account-file, or remove it",
    );
  }
};

const run = async (given: string | undefined, options: HtpasswdOptions, command: Command): Promise<void> => {
  const { probe, accountFile = PROBE.accountFile } = options;
  if (given === undefined && !probe) command.error("error: missing required argument 'user'");
  if (options.accountFile !== undefined && !probe) command.error("error: --account-file goes with --probe");
  const name = given ?? PROBE.user;
  const site = siteIfAny(options.site);
  const password = probe ? randomBytes(PROBE.bytes).toString("base64url") : await newPassword();
  const line = await htpasswdLine(name, password, probe ? COST.random : COST.person);
  if (probe) writeAccount(accountFile, name, password);
  printText(line);
  const advice = [...whereLineGoes(site), ...(probe ? whereAccountGoes(site, accountFile) : [])];
  printError(advice);
};

/** `warden htpasswd`: a line for the accounts file of a private registry. */
export const htpasswdCommand = (): Command =>
  new Command("htpasswd")
    .description(
      "make a line for the htpasswd file of a registry; the password is read from standard input or asked for",
    )
    .argument("[user]", `whose account it is (with --probe: ${PROBE.user})`, user)
    .option("--probe", "the account of the probe: a random password of 32 bytes and the lowest cost of bcrypt")
    .option(
      "--account-file <file>",
      `with --probe: the new file for REG_USER and REG_PASS (default: ${PROBE.accountFile})`,
    )
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .addHelpText(
      "after",
      `
The line goes to standard output, and where it belongs to standard error. No password is an argument or is printed.

Examples:
  warden htpasswd alice            asks for the password twice
  warden htpasswd ci <password.txt
  warden htpasswd --probe`,
    )
    .action(run);
