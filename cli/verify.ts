import { accessSync, constants, existsSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SingleBar } from "cli-progress";
import { Command, Option } from "commander";
import { BLOB_CHECKS, type BlobCheck } from "../registry/oci/blob-check";
import { DEFAULT_CONCURRENCY, RegistryClient } from "../registry/oci/client";
import { RegistryError } from "../registry/oci/errors";
import { isPlatform } from "../registry/oci/manifest";
import { isTag, parseTarget, type Target } from "../registry/oci/reference";
import { ROLES, type Role, type TagSelection } from "../registry/oci/repository";
import { type Progress, type Report, type WalkOptions, walk } from "../registry/oci/walk";
import { defaultBlobCheck } from "../registry/probe/environment";
import { prometheus } from "../registry/probe/prometheus";
import type { About } from "../registry/report/about";
import { htmlPage } from "../registry/report/html";
import { junit } from "../registry/report/junit";
import { reportTable } from "../registry/report/table";
import {
  type AccessOptions,
  accessTo,
  addAccessOptions,
  type ClientAccess,
  collect,
  number,
  repositories,
} from "./access";
import { suitEngineToWalk } from "./engine";
import { print, printError, printJson } from "./output";
import { versionText } from "./version";

interface VerifyOptions extends AccessOptions {
  repository: string[];
  tag: string[];
  newest?: number;
  blobs?: BlobCheck;
  role: Role;
  platform: string[];
  concurrency: number;
  json?: true;
  html?: string;
  junit?: string;
  prometheus?: string;
}

type WalkScope = Pick<WalkOptions, "catalog" | "repositories" | "selection">;

/** What is walked, given the target and the options that narrow it. */
const scopeOf = (target: Target, { repository, tag, newest }: VerifyOptions): WalkScope => {
  const narrowed = narrowedBy(tag, newest, target.kind === "image" || repository.length > 0);
  if (target.kind === "registry") {
    return { catalog: repository.length === 0, repositories: repository, selection: narrowed };
  }
  return { catalog: false, repositories: [target.repository], selection: imageSelection(target, narrowed) };
};

/** @param named whether the repositories were named, so that a missing tag is a failure */
const narrowedBy = (tags: string[], newest: number | undefined, named: boolean): TagSelection => {
  if (tags.length > 0) return { kind: named ? "named" : "present", tags };
  return newest === undefined ? { kind: "all" } : { kind: "newest", count: newest };
};

const imageSelection = (image: Target & { kind: "image" }, narrowed: TagSelection): TagSelection => {
  if (image.digest !== null) return { kind: "named", tags: [], digests: [image.digest] };
  if (image.tag !== null) return { kind: "named", tags: [image.tag] };
  // Like every other client, for an image without a tag.
  return narrowed.kind === "all" ? { kind: "named", tags: ["latest"] } : narrowed;
};

const refuseConflicts = (command: Command, target: Target, { repository, tag, newest }: VerifyOptions): void => {
  if (target.kind === "registry") return;
  if (repository.length > 0) {
    command.error("error: --repository narrows a registry, and the target is an image: leave one of them out");
  }
  if ((target.tag !== null || target.digest !== null) && (tag.length > 0 || newest !== undefined)) {
    command.error("error: the image has a tag or a digest already: leave --tag and --newest out");
  }
};

/** Shows the progress of the walk, on a terminal only. @returns functions to update and to end the bar */
const progressBar = (): { show: (progress: Progress) => void; end: () => void } => {
  if (!process.stderr.isTTY) return { show: () => {}, end: () => {} };
  const format = "{bar} {value}/{total} repositories, {requests} requests";
  const bar = new SingleBar({ format, stream: process.stderr, clearOnComplete: true, hideCursor: true });
  let started = false;
  return {
    show: ({ repositories, of, requests }) => {
      if (!started) bar.start(of, 0, { requests });
      started = true;
      bar.update(repositories, { requests });
    },
    end: () => bar.stop(),
  };
};

/** Ensures, before a walk that may take long, that its report can be written; without a report no file is left behind. */
const expectWritable = (path: string | undefined): void => {
  if (path === undefined) return;
  const refuse = (why: string): never => {
    throw new RegistryError("bad-input", `${path} cannot be written (${why})`, "give a path in a folder that exists");
  };
  if (existsSync(path) && statSync(path).isDirectory()) refuse("EISDIR");
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK);
  } catch (error) {
    refuse((error as NodeJS.ErrnoException).code ?? "unknown");
  }
};

/** 1 with a failure, even of an incomplete walk; 2 for an incomplete walk without one. */
const exitCode = ({ failures, complete }: Report): 0 | 1 | 2 => {
  if (failures.length > 0) return 1;
  return complete ? 0 : 2;
};

/** The options as they appear in a report: no credentials, and no file names. */
const asked = ({ role, blobs, repository, tag, newest, platform, concurrency, rate, timeout }: VerifyOptions) => {
  const check = blobs ?? defaultBlobCheck(role);
  return { role, blobs: check, repository, tag, newest, platform, concurrency, rate, timeout };
};

/** Aborts on Ctrl-C or a termination signal, so that a report still contains what was seen. */
const interruptible = async <Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> => {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    return await work(interruption.signal);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
};

/** The result of a walk, and when the registry's certificate expires. */
interface Walked {
  report: Report;
  certificateExpiry: number | null;
}

const walkTarget = (
  scope: WalkScope,
  { credentialsGiven, ...access }: ClientAccess,
  options: VerifyOptions,
): Promise<Walked> =>
  interruptible(async (signal) => {
    const { role, concurrency, platform: platforms, blobs = defaultBlobCheck(role) } = options;
    const bar = progressBar();
    const client = new RegistryClient({ ...access, concurrency, signal });
    try {
      const walked = { ...scope, role, blobs, platforms, credentialsGiven, signal, onProgress: bar.show };
      const report = await walk(client, walked);
      return { report, certificateExpiry: client.certificateExpiry };
    } finally {
      bar.end();
      await client.close();
    }
  });

/** Atomic: a collector that reads the file concurrently sees either the old one or the new one. */
const replaceFile = (path: string, text: string): void => {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
};

/** Writes the report to each requested file. */
const writeReports = (
  { report, certificateExpiry }: Walked,
  about: About,
  { host: instance, catalog }: { host: string; catalog: boolean },
  files: VerifyOptions,
): void => {
  if (files.html !== undefined) writeFileSync(files.html, htmlPage(report, about));
  if (files.junit !== undefined) writeFileSync(files.junit, junit(report, about));
  if (files.prometheus === undefined) return;
  const ended = Math.round(Date.now() / 1000);
  replaceFile(files.prometheus, prometheus(report, { instance, catalog, certificateExpiry, ended }));
};

const UNREACHED = {
  message: "a part of the registry could not be reached, and nothing broken was found in the rest",
  hint: "run it again",
};

const verify = async (targetText: string, options: VerifyOptions, command: Command): Promise<void> => {
  suitEngineToWalk();
  const bothNarrow = options.tag.length > 0 && options.newest !== undefined;
  if (bothNarrow) command.error("error: --tag and --newest exclude each other");
  const target = parseTarget(targetText);
  refuseConflicts(command, target, options);
  const access = await accessTo(target.url, options, process.env);
  for (const file of [options.html, options.junit, options.prometheus]) expectWritable(file);

  const scope = scopeOf(target, options);
  const walked = await walkTarget(scope, access, options);
  const { report } = walked;

  const about = { warden: versionText(), started: report.started, options: asked(options) };
  writeReports(walked, about, { host: target.url.host, catalog: scope.catalog }, options);
  if (options.json) await printJson({ ...report, ...about });
  else print(reportTable(report));
  process.exitCode = exitCode(report);
  if (process.exitCode === 2) {
    const { message, hint } = report.stopped ?? UNREACHED;
    printError(`error: ${message}; ${hint}`);
  }
};

/** `warden verify`: walks a registry, or one image of it, and reports every broken object once. */
export const verifyCommand = (): Command => {
  const command = new Command("verify")
    .description("check every manifest, config and layer of a registry or an image")
    .argument("<target>", "http(s)://host[:port], host:port, or host[:port]/repository[:tag|@digest]")
    .option("--repository <name>", "only this repository, listed or not (repeatable)", repositories, [])
    .option("--tag <tag>", "only this tag (repeatable)", collect(isTag, "a tag"), [])
    .option("--newest <n>", "only the newest tags of each repository, by image date", number(1, 1_000_000, true))
    .addOption(
      new Option(
        "--blobs <check>",
        "how configs and layers are checked (default: last-byte, none for a proxy)",
      ).choices(BLOB_CHECKS),
    )
    .addOption(
      new Option("--role <role>", "authoritative registry, or pull-through cache").choices(ROLES).default("private"),
    )
    .option("--concurrency <n>", "requests at once", number(1, 256, true), DEFAULT_CONCURRENCY)
    .option(
      "--platform <platform>",
      "of an index only this one has to be there, as linux/arm64 (repeatable)",
      collect(isPlatform, "a platform"),
      [],
    )
    .option("--json", "print the report as one JSON document")
    .option("--html <file>", "write the report as one page")
    .option("--junit <file>", "write the report as JUnit XML")
    .option("--prometheus <file>", "write the probe's metrics as Prometheus text, for a textfile collector")
    .addHelpText(
      "after",
      `
Examples:
  warden verify https://registry.example.org                      every tag of every repository; exit code 1 when something cannot be pulled
  warden verify registry.example.org/team/app:1.0                 one image
  warden verify 127.0.0.1:5000 --blobs hash --html report.html    every byte, with a report to send around
  warden verify https://registry.example.org --newest 10 --json   what a pipeline needs`,
    )
    .action(verify);
  return addAccessOptions(command);
};
