import { readFileSync } from "node:fs";
import { Command } from "commander";
import { RegistryClient } from "../registry/oci/client";
import type { Digest } from "../registry/oci/digest";
import { RegistryError } from "../registry/oci/errors";
import { RegistryWriter } from "../registry/oci/push";
import { isRepository, isTag, parseRegistry } from "../registry/oci/reference";
import { pushesIn } from "../registry/storage/deleted";
import { StoreReader } from "../registry/storage/reader";
import { oneStore } from "../registry/storage/store";
import { type UndeleteTarget, undelete } from "../registry/storage/undelete";
import { undeleteTable } from "../registry/storage/undelete-table";
import { type AccessOptions, accessTo, addAccessOptions } from "./access";
import { print, printJson } from "./output";

interface UndeleteCommandOptions extends AccessOptions {
  storage: string;
  log?: string;
  apply?: true;
  json?: true;
}

/** `repository[:tag][@digest]`, optionally preceded by the registry; the digest may be abbreviated. */
const targetOf = (text: string, registry: URL): UndeleteTarget => {
  const name = text.startsWith(`${registry.host}/`) ? text.slice(registry.host.length + 1) : text;
  const [, repository, tag = null, digest = null] =
    /^([^:@]+)(?::([^@]+))?(?:@([a-z0-9]+:[0-9a-f]{8,128}))?$/.exec(name) ?? [];
  if (isRepository(repository) && (tag === null || isTag(tag)))
    return { repository, tag, digest: digest as Digest | null };
  throw new RegistryError("bad-input", `${JSON.stringify(text)} names no image`, "give repository[:tag][@digest]");
};

const logIn = (path: string): string => {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new RegistryError(
      "bad-input",
      `the log ${path} cannot be read (${code})`,
      "give a file, or - for standard input",
    );
  }
};

const run = async (registry: string, images: string[], options: UndeleteCommandOptions): Promise<void> => {
  const access = await accessTo(parseRegistry(registry), options, process.env);
  const targets = images.map((text) => targetOf(text, access.url));
  const storage = new StoreReader(oneStore(options.storage).layout);
  const pushes = options.log === undefined ? [] : pushesIn(logIn(options.log));
  const client = new RegistryClient(access);
  const writer = options.apply ? new RegistryWriter(access) : null;
  try {
    await client.ping();
    const report = await undelete(client, { storage, targets, pushes, writer });
    if (options.json) await printJson(report);
    else print(undeleteTable(report));
    process.exitCode = report.problems.length + report.remaining.length > 0 ? 1 : 0;
  } finally {
    await Promise.all([client.close(), writer?.close()]);
  }
};

/** `warden undelete`: restores what was deleted through the API, until the next garbage collection. */
export const undeleteCommand = (): Command => {
  const command = new Command("undelete")
    .description("plan what a deletion left on the disk and can be put back; with --apply, put it back and verify it")
    .argument("<registry>", "http(s)://host[:port] or host:port")
    .argument("[image...]", "only these: repository[:tag][@digest]; a tag that nothing tells is given with its digest")
    .requiredOption("--storage <storage root>", "its own storage")
    .option("--log <file>", "the registry's log, which may tell the tags (- for standard input)")
    .option("--apply", "do it")
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Stop whatever collects garbage first: it takes what is to be put back.

Examples:
  warden undelete https://registry.example.org --storage /srv/registry/data/private                    what can be put back
  warden undelete https://registry.example.org team/app --storage /srv/registry/data/private --apply   all of a repository
  warden undelete https://registry.example.org team/app:1.0@sha256:0123456789ab --storage /srv/registry/data/private --apply`,
    )
    .action(run);
  return addAccessOptions(command);
};
