import { Command } from "commander";
import { diagnose } from "../registry/diagnose";
import { diagnosisTable } from "../registry/diagnose-table";
import { RegistryClient } from "../registry/oci/client";
import { RegistryError } from "../registry/oci/errors";
import { ExchangeError } from "../registry/oci/http";
import { parseRegistry } from "../registry/oci/reference";
import type { Role } from "../registry/oci/repository";
import { walk } from "../registry/oci/walk";
import { StoreReader } from "../registry/storage/reader";
import { StorageRefusal } from "../registry/storage/refusal";
import { differenceOf } from "../registry/storage/same-registry";
import { scan } from "../registry/storage/scan";
import { soughtIn } from "../registry/storage/sought";
import { oneStore, roleOf, type Store } from "../registry/storage/store";
import { type AccessOptions, accessTo, addAccessOptions } from "./access";
import { print, printError, printJson } from "./output";

interface DiagnoseOptions extends AccessOptions {
  hash?: true;
  json?: true;
}

async function run(registry: string, root: string, options: DiagnoseOptions): Promise<void> {
  const store = oneStore(root);
  const role = roleOf(store);
  const reader = new StoreReader(store.layout);
  const access = await accessTo(parseRegistry(registry), options, process.env);
  const client = new RegistryClient(access);
  try {
    const walked = await walk(client, {
      role,
      blobs: role === "private" ? "last-byte" : "none",
      catalog: true,
      // A registry hides what has lost its folders, and another registry what it does not have.
      repositories: [...reader.repositories()].map(({ name }) => name),
      selection: { kind: "all" },
      credentialsGiven: access.credentials !== null,
    });
    const scanned = await scan(store.layout.root, { role, hash: options.hash });
    const report = diagnose(walked, { ...scanned, root }, reader, {
      differences: await differencesOf(client, store, role),
      notAt: soughtIn(store.layout, Date.now()),
    });
    if (options.json) await printJson(report);
    else print(diagnosisTable(report));
    process.exitCode = report.findings.length > 0 ? 1 : report.complete ? 0 : 2;
    if (process.exitCode === 2) {
      printError("error: a part could not be reached, and nothing wrong was found in the rest; run it again");
    }
  } finally {
    await client.close();
  }
}

/** What only one of registry and store has: a cache lists what its upstream has, and a listing that fails says nothing. */
async function differencesOf(client: RegistryClient, { layout }: Store, role: Role) {
  if (role === "proxy") return [];
  try {
    const difference = await differenceOf(client, layout);
    return difference === null
      ? []
      : [{ repository: difference.repository, tags: difference.tag === null ? [] : [difference.tag] }];
  } catch (error) {
    // The walk tells it.
    if (error instanceof StorageRefusal || error instanceof ExchangeError || error instanceof RegistryError) return [];
    throw error;
  }
}

/** `warden diagnose`: joins what a registry answers with what is on its disk, and names the cause of each difference. */
export function diagnoseCommand(): Command {
  const command = new Command("diagnose")
    .description("find the cause of everything that is broken, and the command that comes next")
    .argument("<registry>", "http(s)://host[:port] or host:port")
    .argument("<storage root>", "the folder that holds docker/registry/v2")
    .option("--hash", "hash every blob on the disk")
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden diagnose https://registry.example.org /srv/registry/data/private   each cause, and the command that comes next`,
    )
    .action(run);
  return addAccessOptions(command);
}
