import { Command } from "commander";
import { diagnose } from "../registry/diagnose";
import { diagnosisTable } from "../registry/diagnose-table";
import { RegistryClient } from "../registry/oci/client";
import { parseRegistry } from "../registry/oci/reference";
import { walk } from "../registry/oci/walk";
import { StoreReader } from "../registry/storage/reader";
import { scan } from "../registry/storage/scan";
import { soughtIn } from "../registry/storage/sought";
import { oneStore, roleOf } from "../registry/storage/store";
import { type AccessOptions, accessTo, addAccessOptions } from "./access";
import { print, printError, printJson } from "./output";

interface DiagnoseOptions extends AccessOptions {
  hash?: true;
  json?: true;
}

const run = async (registry: string, root: string, options: DiagnoseOptions): Promise<void> => {
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
      // The catalog does not list repositories that have lost their folders, nor another registry those that it does not have.
      repositories: [...reader.repositories()].map(({ name }) => name),
      selection: { kind: "all" },
      credentialsGiven: access.credentials !== null,
    });
    const scanned = await scan(store.layout.root, { role, hash: options.hash });
    const report = diagnose(walked, { ...scanned, root }, reader, { notAt: soughtIn(store.layout, Date.now()) });
    if (options.json) await printJson(report);
    else print(diagnosisTable(report));
    process.exitCode = report.findings.length > 0 ? 1 : report.complete ? 0 : 2;
    if (process.exitCode === 2) {
      printError("error: a part could not be reached, and nothing wrong was found in the rest; run it again");
    }
  } finally {
    await client.close();
  }
};

/** `warden diagnose`: combines a registry's answers with what is on its disk, and gives the cause of each difference. */
export const diagnoseCommand = (): Command => {
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
};
