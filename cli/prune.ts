import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { RegistryClient } from "../registry/oci/client";
import { RegistryWriter } from "../registry/oci/push";
import { parseRegistry } from "../registry/oci/reference";
import { withRemoteClients } from "../registry/remote/clients";
import { readJournal } from "../registry/remote/journal";
import { applyRemotePrune, isDone, planRemotePrune, type RemotePruneReport } from "../registry/remote/prune";
import { remotePruneTable, remoteUndoTable } from "../registry/remote/prune-table";
import { isUndone, undoRemotePrune } from "../registry/remote/undo";
import { requireNoWrites } from "../registry/storage/no-writes";
import { keepNewest, parsePolicy } from "../registry/storage/policy";
import { applyPrune, type PruneReport, planPrune } from "../registry/storage/prune";
import { pruneTable } from "../registry/storage/prune-table";
import { StorageRefusal } from "../registry/storage/refusal";
import { requireSameRegistry } from "../registry/storage/same-registry";
import type { RetentionPolicy, RetentionRule } from "../site/retention";
import { commandLine } from "../text/shell-word";
import { type AccessOptions, accessTo, addAccessOptions, repositories } from "./access";
import { print, printJson } from "./output";
import type { SiteRegistry } from "./site-registry";

interface PruneOptions extends AccessOptions {
  keepNewest?: number;
  keep: string[];
  policy?: string;
  order?: RetentionRule["order"];
  apply?: true;
  registry?: string;
  offline?: true;
  repository: string[];
  journal?: string;
  undo?: string;
  site?: string;
  exitCode?: true;
  json?: true;
}

const count = (text: string): number => {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1) return value;
  throw new InvalidArgumentError("give a whole number from 1: a repository never loses every tag");
};

/** Options that only apply to storage, as they are written. */
const OF_STORAGE = { registry: "--registry", offline: "--offline" } as const;
const OF_REGISTRY = { repository: "--repository", journal: "--journal" } as const;

const refuseConflicts = (
  command: Command,
  kind: "storage" | "registry",
  options: PruneOptions,
  hasPolicy: boolean,
): void => {
  const { keepNewest, keep, policy, apply, registry, offline } = options;
  const given = [keepNewest, policy].filter((each) => each !== undefined).length;
  if (given > 1 || (given === 0 && !hasPolicy)) {
    command.error("error: give either --keep-newest or --policy");
  }
  if (given === 0 && keep.length > 0) command.error("error: --keep belongs to --keep-newest");
  if (policy !== undefined && keep.length > 0) {
    command.error("error: --keep belongs to --keep-newest: a policy file has its own patterns");
  }
  const others = kind === "storage" ? OF_REGISTRY : OF_STORAGE;
  for (const [name, flag] of Object.entries(others)) {
    const value = options[name as keyof PruneOptions];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    command.error(
      `error: ${flag} is for ${kind === "storage" ? "a registry" : "a storage root"}, and the target is none`,
    );
  }
  if (kind === "storage" && apply && (registry === undefined) === (offline === undefined)) {
    command.error("error: --apply needs either --registry, which is checked to be down or read-only, or --offline");
  }
};

/**
 * Whether a target is a registry's storage or a registry. A url is a registry; anything with a slash, or only dots, is a path.
 * A bare name that looks like a host is a registry, and an error if a file has that name too. Any other name is storage if a
 * file has it, and a registry of the site otherwise.
 */
const kindOf = (target: string, command: Command): "storage" | "registry" | "site" => {
  if (/^https?:\/\//i.test(target)) return "registry";
  if (target.includes("/") || /^\.+$/.test(target)) return "storage";
  const isHost = /[.:]|^localhost$/.test(target);
  if (!isHost && !existsSync(target)) return "site";
  if (isHost && existsSync(target)) {
    command.error(
      `error: ${target} may be a registry or the folder of that name: give https://${target} or ./${target}`,
    );
  }
  return isHost ? "registry" : "storage";
};

const readPolicy = (path: string): RetentionPolicy => {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StorageRefusal(
      "policy",
      `the policy file ${path} cannot be read (${code})`,
      "give the path of a JSON file",
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new StorageRefusal("policy", `the policy file ${path} is not json`, "give the site's retention as JSON");
  }
  return parsePolicy(json);
};

/** @param order replaces that of the rules */
const orderedBy = (order: RetentionRule["order"], policy: RetentionPolicy): RetentionPolicy =>
  order === undefined ? policy : { ...policy, rules: policy.rules.map((rule) => ({ ...rule, order })) };

const apply = async (root: string, policy: RetentionPolicy, options: PruneOptions): Promise<PruneReport> => {
  if (options.registry === undefined) return applyPrune(root, policy, Date.now(), async () => {});
  const access = await accessTo(parseRegistry(options.registry), options, process.env);
  const [writer, client] = [new RegistryWriter(access), new RegistryClient(access)];
  let known = false;
  try {
    return await applyPrune(root, policy, Date.now(), async (layout, repository) => {
      const state = await requireNoWrites(writer, layout, repository);
      if (state === "read-only" && !known) await requireSameRegistry(client, layout);
      known = true;
    });
  } finally {
    await Promise.all([writer.close(), client.close()]);
  }
};

/** The default folder of the journals: https://specifications.freedesktop.org/basedir-spec/latest/ */
const journalFolder = ({ XDG_STATE_HOME }: NodeJS.ProcessEnv): string =>
  join(XDG_STATE_HOME || join(homedir(), ".local/state"), "registry-warden/journal");

const pruneRemotely = async (
  registry: string,
  policy: RetentionPolicy,
  options: PruneOptions,
): Promise<RemotePruneReport> => {
  const access = await accessTo(parseRegistry(registry), options, process.env);
  const journals = options.journal ?? journalFolder(process.env);
  return withRemoteClients(access, ({ client, listing, writer }) => {
    const scope = { policy, now: Date.now(), repositories: options.repository, listing, journals };
    return options.apply ? applyRemotePrune(client, { ...scope, writer }) : planRemotePrune(client, scope);
  });
};

const undo = async (folder: string, options: PruneOptions): Promise<void> => {
  const journal = readJournal(folder);
  const access = await accessTo(parseRegistry(journal.registry), options, process.env);
  const report = await withRemoteClients(access, ({ client, writer }) =>
    undoRemotePrune(client, writer, folder, journal),
  );
  if (options.json) await printJson(report);
  else print(remoteUndoTable(report));
  process.exitCode = isUndone(report) ? 0 : 1;
};

/** The policy in the options, else that of the site. */
const policyOf = (
  { policy, keepNewest: newest, keep }: PruneOptions,
  named: SiteRegistry | undefined,
): RetentionPolicy => {
  if (policy !== undefined) return readPolicy(policy);
  if (newest === undefined && named?.retention !== undefined) return named.retention;
  return keepNewest(newest ?? 1, keep);
};

/** Uses the connection settings of the site's probe as defaults. */
const asSiteHas = (options: PruneOptions, named: SiteRegistry | undefined): PruneOptions => {
  if (named === undefined) return options;
  const repository = options.repository.length > 0 ? options.repository : [...named.repositories];
  return { ...options, repository, rate: options.rate ?? named.rate };
};

const run = async (
  target: string | undefined,
  options: PruneOptions,
  command: Command,
  bySite: RegistryBySite | undefined,
): Promise<void> => {
  if (options.undo !== undefined) {
    const { keepNewest, policy, apply: applied, registry, offline, journal, repository, keep } = options;
    const others = [target, keepNewest, policy, applied, registry, offline, journal, ...repository, ...keep];
    if (others.some((each) => each !== undefined))
      command.error("error: --undo takes the journal alone: it names its registry");
    return undo(options.undo, options);
  }
  if (target === undefined) return command.error("error: give a storage root or a registry, or --undo with a journal");
  const kindOfName = kindOf(target, command);
  const named = kindOfName === "site" ? bySite?.(target, options.site, options.apply === true) : undefined;
  if (options.site !== undefined && named === undefined)
    command.error("error: --site is for a registry by its name in the site");
  const kind = kindOfName === "registry" || named !== undefined ? "registry" : "storage";
  refuseConflicts(command, kind, options, named?.retention !== undefined);
  const policy = orderedBy(options.order, policyOf(options, named));
  if (kind === "registry") {
    const report = await pruneRemotely(named?.url ?? target, policy, asSiteHas(options, named));
    if (options.json) await printJson(report);
    else print([...remotePruneTable(report), ...nextStep(report)]);
    process.exitCode = !isDone(report) || (options.exitCode && !options.apply && !isEmpty(report)) ? 1 : 0;
    return;
  }
  const report = options.apply ? await apply(target, policy, options) : await planPrune(target, policy, Date.now());
  if (options.json) await printJson(report);
  else print(pruneTable(report));
  process.exitCode = options.exitCode && !options.apply && !isEmpty(report) ? 1 : 0;
};

/** What to do after a plan, and how to undo what was done. */
const nextStep = ({ applied, journal }: RemotePruneReport): string[] => {
  if (!applied) return ["next      the same with --apply"];
  return journal === null ? [] : [`undo      ${commandLine("warden", "prune", "--undo", journal)}`];
};

const isEmpty = ({ remove }: { remove: { tags: unknown[]; manifests: unknown[] } }): boolean =>
  remove.tags.length + remove.manifests.length === 0;

/** Finds a registry of the site by its name. */
type RegistryBySite = (name: string, option: string | undefined, changes: boolean) => SiteRegistry;

/**
 * `warden prune`: removes the tags that a policy does not keep, and what only they need, from a registry or its storage.
 *
 * @param bySite default: no registry is known by name, as on the registry host, which has no site
 */
export const pruneCommand = (bySite?: RegistryBySite): Command => {
  const command = new Command("prune")
    .description("plan what a registry keeps and what goes, by its storage or over HTTP; with --apply, remove the rest")
    .argument(
      "[target]",
      `the folder that holds docker/registry/v2, or http(s)://host[:port] or host:port${bySite === undefined ? "" : ", or the name of a registry in the site"}`,
    )
    .option("--keep-newest <n>", "keep so many tags of each repository, those pushed last", count)
    .option(
      "--keep <pattern>",
      "with --keep-newest: keep the tags of this pattern too (repeatable)",
      (pattern, before: string[]) => [...before, pattern],
      [],
    )
    .option("--policy <file>", "the site's retention as JSON")
    .addOption(
      new Option(
        "--order <order>",
        "which tags are the newest: by when they were pushed, or by when their images were created (default: as the policy says, or pushed)",
      ).choices(["pushed", "created"]),
    )
    .option("--apply", "do it")
    .option("--registry <url>", "of a storage, with --apply: its registry, which must be down or read-only")
    .addOption(new Option("--offline", "of a storage, with --apply: nothing writes to it, on your word"))
    .option("--repository <name>", "of a registry: only this repository, listed or not (repeatable)", repositories, [])
    .option(
      "--journal <folder>",
      "of a registry: where what is removed is kept (default: ~/.local/state/registry-warden/journal)",
    )
    .option("--undo <journal>", "put back what a clean-up over HTTP removed, from the journal that it has named")
    .option("--exit-code", "end with 1 when the plan is not empty")
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden prune /srv/registry/data/private --keep-newest 10                                         what would go, and why
  warden prune /srv/registry/data/private --keep-newest 10 --keep 'v*'                             the releases stay too
  warden prune /srv/registry/data/private --policy policy.json --apply --registry 127.0.0.1:5000   remove it, while that registry is down or read-only
  warden prune https://registry.example.org --keep-newest 10                                       the same plan over HTTP, where nobody reaches the storage
  warden prune https://registry.example.org --keep-newest 10 --repository team/app --apply         remove it, while others may push
  warden prune forge                                                                               by its name in the site, with what the site keeps
  warden prune --undo ~/.local/state/registry-warden/journal/registry.example.org/TIME             put all of it back`,
    )
    .action((target: string | undefined, options: PruneOptions) => run(target, options, command, bySite));
  if (bySite !== undefined)
    command.option(
      "--site <file>",
      "with a registry by its name: the site's module (default: WARDEN_SITE, site.ts, or the reference site)",
    );
  return addAccessOptions(command);
};
