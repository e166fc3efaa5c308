import { Command } from "commander";
import { RegistryClient } from "../registry/oci/client";
import { RegistryError } from "../registry/oci/errors";
import { parseRegistry } from "../registry/oci/reference";
import { isRegistryName, registryNames } from "../registry/workloads/image-reference";
import { type WorkloadsReport, workloadsReport, workloadsTable } from "../registry/workloads/report";
import { verifyImages } from "../registry/workloads/verify";
import { imagesFrom, NoWorkloads, readWorkloads, together, type Workloads } from "../registry/workloads/workloads";
import { type AccessOptions, accessTo, addAccessOptions, collect } from "./access";
import { suitEngineToWalk } from "./engine";
import { listEverywhere } from "./kubectl";
import { print, printError, printJson } from "./output";

interface WorkloadsOptions extends AccessOptions {
  kubeconfig?: string;
  context?: string;
  name: string[];
  json?: true;
}

/** More than the output of any cluster; a longer input is not a list of pods. Bytes. */
const MOST_INPUT = 512 * 1024 * 1024;

const STDIN_HINT = "give what this prints: kubectl get pods,cronjobs --all-namespaces --output json";

const textFromStdin = async (): Promise<string> => {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of process.stdin) {
    size += (piece as Buffer).length;
    if (size > MOST_INPUT) throw new RegistryError("bad-input", "standard input has no end", STDIN_HINT);
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces).toString("utf8");
};

/** @throws RegistryError `bad-input` */
const workloadsIn = (text: string, from: string, hint: string): Workloads => {
  try {
    return readWorkloads(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof NoWorkloads)) throw error;
    const why = error instanceof NoWorkloads ? error.message : "it is no json";
    throw new RegistryError("bad-input", `what ${from} gives cannot be read: ${why}`, hint);
  }
};

const workloadsOf = async (
  source: string | undefined,
  { kubeconfig, context }: WorkloadsOptions,
): Promise<Workloads> => {
  if (source !== undefined) return workloadsIn(await textFromStdin(), "standard input", STDIN_HINT);
  const told = ["pods", "cronjobs.batch"].map(async (resource) =>
    workloadsIn(await listEverywhere(resource, { kubeconfig, context }), "kubectl", "try the same with kubectl get"),
  );
  return together(await Promise.all(told));
};

/** 1 if something cannot be pulled again, 2 if that is unknown for some. */
const exitCode = ({ complete, counts: { broken, missing } }: WorkloadsReport): 0 | 1 | 2 => {
  if (broken + missing > 0) return 1;
  return complete ? 0 : 2;
};

const run = async (
  registry: string,
  source: string | undefined,
  options: WorkloadsOptions,
  command: Command,
): Promise<void> => {
  suitEngineToWalk();
  if (source !== undefined && source !== "-") command.error('error: the only source is "-", standard input');
  if (source !== undefined && (options.kubeconfig !== undefined || options.context !== undefined))
    command.error("error: give either - or a cluster by --kubeconfig and --context");
  const url = parseRegistry(registry);
  const names = registryNames(options.name, url);
  const workloads = await workloadsOf(source, options);
  const images = imagesFrom(workloads, names);
  const { credentialsGiven, ...access } = await accessTo(url, options, process.env);
  const client = new RegistryClient(access);
  try {
    const check = { role: "private", blobs: "last-byte", credentialsGiven } as const;
    const told = { containers: workloads.containers.length, unreadable: workloads.unreadable };
    const report = workloadsReport(url.origin, names, told, await verifyImages(client, images, check));
    if (options.json) await printJson(report);
    else print(workloadsTable(report));
    process.exitCode = exitCode(report);
    if (process.exitCode === 2)
      printError("error: not everything that runs is known, and nothing is missing of the rest; run it again");
  } finally {
    await client.close();
  }
};

/** `warden workloads`: whether the images in use in a cluster can be pulled again. */
export const workloadsCommand = (): Command => {
  const command = new Command("workloads")
    .description("verify that what runs in a cluster can be pulled again from a registry")
    .argument("<registry>", "http(s)://host[:port] or host:port")
    .argument(
      "[source]",
      'where workloads come from: "-" is standard input (default: pods and CronJobs of the cluster, by kubectl)',
    )
    .option("--kubeconfig <file>", "of the cluster (default: as kubectl has it)")
    .option("--context <name>", "of the kubeconfig (default: the current one)")
    .option(
      "--name <host>",
      "host[:port] by which images are named, where it is not that of the registry (repeatable)",
      collect(isRegistryName, "a host"),
      [],
    )
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden workloads https://registry.example.org                                  the cluster of the kubeconfig; exit code 1 when something cannot be pulled again
  kubectl get pods,cronjobs -A -o json | warden workloads registry.example.org -   without any access of its own to the cluster
  kubectl get pods,cronjobs,deployments,statefulsets,daemonsets,replicasets -A -o json | warden workloads registry.example.org -   what is scaled down too, and what a rollback would start
  warden workloads 127.0.0.1:5000 --name registry.example.org                    the registry by another way than its clients'`,
    )
    .action(run);
  return addAccessOptions(command);
};
