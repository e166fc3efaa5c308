import { basename } from "node:path/posix";
import { Command } from "commander";
import { deliveriesTo } from "../hosts/deliveries";
import { asProgram, assembleScript, type Delivery, inspectionScript } from "../hosts/delivery";
import { HostError, type HostOutput, runOnHost } from "../hosts/ssh";
import type { ManagedHost } from "../site/host";
import { quote } from "../text/shell-word";
import { exampleHost, examples } from "./examples";
import { managedHost, scriptError } from "./host";
import { print, printText } from "./output";
import { selectedSite } from "./selected-site";

interface RollbackOptions {
  to?: string;
  dryRun?: true;
  site?: string;
}

/** An archive on a host, made by a delivery before it changed anything. */
interface Backup {
  readonly delivery: Delivery;
  readonly path: string;
  /** YYYYMMDD-HHMMSS, UTC, by the host's clock. */
  readonly stamp: string;
  /** Its position among all backups of the host; 0 if it was made before positions were recorded. */
  readonly place: number;
  /** In words; empty if that was not recorded. */
  readonly holds: string;
}

const STAMP = /-(\d{8}-\d{6})\.tar\.gz$/;

const decoded = (text = ""): string => Buffer.from(text, "base64").toString("utf8");

/** The backups of one delivery, as printed by its program; see backups in transaction.sh. */
const backupsOf = async (host: ManagedHost, delivery: Delivery): Promise<Backup[]> => {
  const output = await runOnHost(host, inspectionScript(delivery), { args: ["backups"] });
  if (output.status !== 0) throw failed(host.name, output);
  return output.stdout
    .split("\n")
    .filter((line) => line.startsWith("backup "))
    .map((line) => line.split(" "))
    .flatMap(([, place, encoded, holds]): Backup[] => {
      const path = decoded(encoded);
      const [, stamp = ""] = STAMP.exec(path) ?? [];
      return path === `${delivery.backups}-${stamp}.tar.gz`
        ? [{ delivery, path, stamp, place: Number(place), holds: decoded(holds) }]
        : [];
    });
};

/** Newest first. The clock may have been wrong, so it only decides if no position was recorded. */
const backupsOn = async (host: ManagedHost, deliveries: readonly Delivery[]): Promise<Backup[]> => {
  const all: Backup[] = [];
  for (const delivery of deliveries) all.push(...(await backupsOf(host, delivery)));
  return all.toSorted((one, other) => other.place - one.place || (one.stamp < other.stamp ? 1 : -1));
};

const described = ({ path, holds }: Backup): string => (holds === "" ? path : `${path} (${holds})`);

const isNamed =
  (name: string) =>
  ({ path, stamp }: Backup): boolean =>
    [path, basename(path), stamp].includes(name);

const chosen = (host: ManagedHost, backups: readonly Backup[], name: string | undefined): Backup => {
  const [newest] = backups;
  if (newest === undefined)
    throw new HostError(
      "no-backup",
      `${host.name} has no backup`,
      "deliver something to it first: until then there is nothing to go back to",
    );
  const [found, ...others] = name === undefined ? [newest] : backups.filter(isNamed(name));
  if (found !== undefined && others.length === 0) return found;
  throw new HostError(
    "no-backup",
    `${host.name} has ${others.length > 0 ? "more than one" : "no"} backup ${JSON.stringify(name)}; its backups are ${backups.map(({ path }) => path).join(", ")}`,
    "name one by its path, or leave --to out for the newest",
  );
};

/**
 * The program that the delivery left on the host can roll back, whatever the site says now. If a rollback to before the first
 * delivery has removed it, the site's program does it.
 */
const program = ({ delivery, path }: Backup, command: "difference" | "rollback"): string =>
  asProgram(
    assembleScript(delivery),
    `${command} ${quote(path)}`,
    `/var/lib/registry-warden/${delivery.name}/delivery.sh`,
  );

const failed = (name: string, output: HostOutput): HostError =>
  new HostError(
    "failed",
    `${name} was not rolled back (${scriptError(output)})`,
    `correct that on ${name}, and run it again`,
  );

const run = async (name: string, { to, dryRun, site: option }: RollbackOptions): Promise<void> => {
  const { site, file } = selectedSite(option, { changes: !dryRun });
  const host = managedHost(site, name);
  const backups = await backupsOn(host, deliveriesTo(site, host));
  const backup = chosen(host, backups, to);
  if (dryRun) print(backups.map((each) => `${name}: has ${described(each)}`));
  print(`${name}: ${dryRun ? "would go" : "goes"} back to ${described(backup)}`);
  if (!dryRun) print(`${name}: by the site ${file}`);
  const output = await runOnHost(host, program(backup, dryRun ? "difference" : "rollback"), {
    onOutput: printText,
  });
  if (output.status !== 0) throw failed(name, output);
  if (dryRun && output.stdout === "") print(`${name}: nothing would change`);
};

/** `warden rollback`: restores a host to its state before its last delivery, or before an earlier one. */
export const rollbackCommand = (): Command =>
  new Command("rollback")
    .description("show what changes, and put a host back to before its last delivery, or to a named backup")
    .argument("<host>", "a host of the site")
    .option("--to <backup>", "a backup on the host, by its time stamp, its name or its path (default: the newest)")
    .option("--dry-run", "list the backups, and show what would change")
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .addHelpText("after", () => {
      const host = exampleHost();
      return examples([
        [`warden rollback ${host} --dry-run`, "which backups there are, and what would change"],
        [`warden rollback ${host}`, "to before the last delivery"],
        [`warden rollback ${host} --to 20260419-031500`, "to before that one"],
      ]);
    })
    .action(run);
