import { Command } from "commander";
import { RegistryClient } from "../registry/oci/client";
import { dockerCredentials } from "../registry/oci/credentials";
import type { Digest } from "../registry/oci/digest";
import { RegistryError } from "../registry/oci/errors";
import { RegistryWriter } from "../registry/oci/push";
import { parseRegistry, parseTarget } from "../registry/oci/reference";
import type { DiscardTarget } from "../registry/storage/discard";
import { StoreReader } from "../registry/storage/reader";
import { repair } from "../registry/storage/repair";
import { repairTable } from "../registry/storage/repair-table";
import { oneStore } from "../registry/storage/store";
import { type AccessOptions, accessTo, addAccessOptions, credentialsOf, repositories } from "./access";
import { print, printJson } from "./output";

interface RepairCommandOptions extends AccessOptions {
  storage?: string;
  from?: string;
  repository: string[];
  discard: string[];
  hash?: true;
  apply?: true;
  exitCode?: true;
  json?: true;
}

/** A digest as abbreviated in the tables: the algorithm and the first digits. */
const CUT_DIGEST = /@([a-z0-9]+:[0-9a-f]{8,63})$/;

/**
 * An image in the registry to repair, in any printed form: with or without the registry, with ` (+2)` for further tags, with an
 * abbreviated digest.
 */
const imageOf = (text: string, registry: URL): DiscardTarget => {
  const name = text.replace(/ \(\+\d+\)$/, "");
  const [first = ""] = name.split("/", 1);
  const isElsewhere = first !== registry.host && name.includes("/") && /[.:]|^localhost$/.test(first);
  if (isElsewhere) {
    throw new RegistryError(
      "bad-input",
      `${JSON.stringify(text)} is no image of ${registry.host}`,
      `give ${registry.host}/repository:tag or ${registry.host}/repository@digest`,
    );
  }
  const cut = CUT_DIGEST.exec(name)?.[1];
  const whole = cut === undefined ? name : name.slice(0, -cut.length - 1);
  const target = parseTarget(first === registry.host ? whole : `${registry.host}/${whole}`);
  if (target.kind === "image") return cut === undefined ? target : { ...target, tag: null, digest: cut as Digest };
  throw new RegistryError(
    "bad-input",
    `${JSON.stringify(text)} names no image`,
    "give repository:tag or repository@digest",
  );
};

/** The other registry, with its own credentials: FROM_USER and FROM_PASS, else those that `docker login` left. */
const clientOf = async (
  from: string,
  options: AccessOptions,
  environment: NodeJS.ProcessEnv,
): Promise<RegistryClient> => {
  const { FROM_USER, FROM_PASS } = environment;
  const given = credentialsOf(FROM_USER || undefined, FROM_PASS || undefined, "set both FROM_USER and FROM_PASS");
  const url = parseRegistry(from);
  const credentials = given ?? (await dockerCredentials(environment, url.host));
  const access = await accessTo(url, { ...options, username: undefined, passwordFile: undefined }, {});
  const client = new RegistryClient({ ...access, credentials });
  await client.ping();
  return client;
};

const run = async (registry: string, options: RepairCommandOptions): Promise<void> => {
  const access = await accessTo(parseRegistry(registry), options, process.env);
  const discard = options.discard.map((text) => imageOf(text, access.url));
  const storage = options.storage === undefined ? null : new StoreReader(oneStore(options.storage).layout);
  const client = new RegistryClient(access);
  const writer = options.apply ? new RegistryWriter(access) : null;
  const from = options.from === undefined ? null : await clientOf(options.from, options, process.env);
  try {
    const report = await repair(client, {
      sources: { storage, from },
      repositories: options.repository,
      discard,
      blobs: options.hash ? "hash" : "last-byte",
      writer,
    });
    if (options.json) await printJson(report);
    else print(repairTable(report));
    const left = report.remaining.length + report.problems.length > 0;
    process.exitCode = options.apply ? Number(left) : Number(options.exitCode === true && report.actions.length > 0);
  } finally {
    await Promise.all([client, writer, from].map((each) => each?.close()));
  }
};

/** `warden repair`: repairs a registry from its own disk or from another registry, and removes what cannot be repaired. */
export const repairCommand = (): Command => {
  const command = new Command("repair")
    .description("plan what heals a registry; with --apply, do it and verify")
    .argument("<registry>", "http(s)://host[:port] or host:port")
    .option("--storage <storage root>", "its own storage, to link again what is still there")
    .option("--from <registry>", "another registry, to copy from what is lost (FROM_USER and FROM_PASS)")
    .option("--repository <name>", "only this repository, listed or not (repeatable)", repositories, [])
    .option(
      "--discard <image>",
      "remove this image if nothing heals it, with every tag that points at it; any name that a table prints (repeatable)",
      (image, before: string[]) => [...before, image],
      [],
    )
    .option("--hash", "read every byte of the registry, which finds layers that were altered and kept their size")
    .option("--apply", "do it")
    .option("--exit-code", "end with 1 when the plan is not empty")
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden repair https://registry.example.org --storage /srv/registry/data/private                  what its own disk still has
  warden repair https://registry.example.org --from https://mirror.example.org --apply             copy what is lost
  warden repair https://registry.example.org --discard registry.example.org/team/app:1.0 --apply   give an image up`,
    )
    .action(run);
  return addAccessOptions(command);
};
