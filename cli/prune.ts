import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { RegistryClient } from "../registry/oci/client";
import { parseRegistry } from "../registry/oci/reference";
import { keepNewest, parsePolicy } from "../registry/storage/policy";
import { applyPrune, type PruneReport, planPrune } from "../registry/storage/prune";
import { pruneTable } from "../registry/storage/prune-table";
import { requireQuiet } from "../registry/storage/quiet";
import { StorageRefusal } from "../registry/storage/refusal";
import { RegistryWriter } from "../registry/storage/registry-writer";
import { requireSameRegistry } from "../registry/storage/same-registry";
import type { RetentionPolicy, RetentionRule } from "../site/retention";
import { type AccessOptions, accessTo, addAccessOptions } from "./access";
import { print, printJson } from "./output";

interface PruneOptions extends AccessOptions {
  keepNewest?: number;
  keep: string[];
  policy?: string;
  order?: RetentionRule["order"];
  apply?: true;
  registry?: string;
  offline?: true;
  exitCode?: true;
  json?: true;
}

function count(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1) return value;
  throw new InvalidArgumentError("allowed are whole numbers from 1: a repository never loses every tag");
}

function refuseConflicts(command: Command, { keepNewest, keep, policy, apply, registry, offline }: PruneOptions): void {
  if ((keepNewest === undefined) === (policy === undefined)) {
    command.error("error: give either --keep-newest or --policy");
  }
  if (policy !== undefined && keep.length > 0) {
    command.error("error: --keep belongs to --keep-newest: a policy file has its own patterns");
  }
  if (apply && (registry === undefined) === (offline === undefined)) {
    command.error("error: --apply needs either --registry, which is checked to be down or read-only, or --offline");
  }
}

function readPolicy(path: string): RetentionPolicy {
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
}

/** @param order instead of that of the rules */
function orderedBy(order: RetentionRule["order"], policy: RetentionPolicy): RetentionPolicy {
  return order === undefined ? policy : { ...policy, rules: policy.rules.map((rule) => ({ ...rule, order })) };
}

async function apply(root: string, policy: RetentionPolicy, options: PruneOptions): Promise<PruneReport> {
  if (options.registry === undefined) return applyPrune(root, policy, Date.now(), async () => {});
  const access = await accessTo(parseRegistry(options.registry), options, process.env);
  const [writer, client] = [new RegistryWriter(access), new RegistryClient(access)];
  let known = false;
  try {
    return await applyPrune(root, policy, Date.now(), async (layout, repository) => {
      const state = await requireQuiet(writer, layout, repository);
      if (state === "read-only" && !known) await requireSameRegistry(client, layout);
      known = true;
    });
  } finally {
    await Promise.all([writer.close(), client.close()]);
  }
}

async function run(root: string, options: PruneOptions, command: Command): Promise<void> {
  refuseConflicts(command, options);
  const policy = orderedBy(
    options.order,
    options.policy === undefined ? keepNewest(options.keepNewest ?? 1, options.keep) : readPolicy(options.policy),
  );
  const report = options.apply ? await apply(root, policy, options) : await planPrune(root, policy, Date.now());
  if (options.json) await printJson(report);
  else print(pruneTable(report));
  const empty = report.remove.tags.length + report.remove.manifests.length === 0;
  process.exitCode = options.exitCode && !options.apply && !empty ? 1 : 0;
}

/** `warden prune`: removes from a registry's storage the tags that a policy does not keep, and all that only they need. */
export function pruneCommand(): Command {
  const command = new Command("prune")
    .description("plan what a registry keeps and what goes; with --apply, remove the links of the rest")
    .argument("<storage root>", "the folder that holds docker/registry/v2")
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
    .option("--registry <url>", "with --apply: the registry of this storage, which must be down or read-only")
    .addOption(new Option("--offline", "with --apply: nothing writes to this storage, on your word"))
    .option("--exit-code", "end with 1 when the plan is not empty")
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden prune /srv/registry/data/private --keep-newest 10                                         what would go, and why
  warden prune /srv/registry/data/private --keep-newest 10 --keep 'v*'                             the releases stay too
  warden prune /srv/registry/data/private --policy policy.json --apply --registry 127.0.0.1:5000   remove it, while that registry is down or read-only`,
    )
    .action(run);
  return addAccessOptions(command);
}
