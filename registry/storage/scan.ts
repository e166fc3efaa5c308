import { setTimeout as pause } from "node:timers/promises";
import type { Digest } from "../oci/digest";
import type { Role } from "../oci/repository";
import { compareFindings, type Finding, findingKey } from "./finding";
import {
  foreignAboveBlobs,
  foreignAmongRepositories,
  foreignFinding,
  readBlobFolder,
  strangersAboveBlobs,
} from "./foreign";
import { type InspectionCounts, type InspectionOptions, inspectRepository } from "./inspect";
import { removeOrphanLayerLink } from "./layer-link";
import type { StorageLayout } from "./layout";
import { StoreReader } from "./reader";
import { isCorrupt } from "./scan-task";
import { type ScanRunner, ScanThreads } from "./scan-threads";
import { findStores, roleOf, type Store } from "./store";

export interface ScanOptions {
  /** Default: determined from the files of each store. */
  role?: Role;
  /** Whether to hash every blob; default: only manifests, and blobs in findings. */
  hash?: boolean;
  /** Whether to remove the orphan layer links found; nothing else is ever changed. Default: change nothing. */
  fixLayerLinks?: boolean;
  /** Threads for a large store; default 1: this one. More need a program that calls serveScan. */
  threads?: number;
  /** What runs the tasks; default: as many threads as the store is worth. */
  runner?: ScanRunner;
}

export interface ScanReport {
  /** As given. */
  root: string;
  /** `mixed` if the stores in a folder have different roles. */
  role: Role | "mixed";
  counts: ScanCounts;
  findings: Finding[];
  /** Layer links removed. */
  fixed: number;
  /** Folders that could not be listed, and what may not be read: if there are any, the scan is incomplete. */
  unreadable: string[];
  /** Stores without any repository, as after a wrong mount; absent if there are none. With any, the scan proves nothing. */
  empty?: string[];
}

export interface ScanCounts extends InspectionCounts {
  blobs: number;
}

/** A file that a registry is writing in place is complete again after this; milliseconds. */
const BETWEEN_LOOKS = 300;

/**
 * Scans one store, or each store in a folder, and reports what is wrong. The registry may be running: each finding is checked
 * again a moment later, and reported only if it persists.
 *
 * @throws StorageRefusal when there is no store
 */
export const scan = async (root: string, options: ScanOptions = {}): Promise<ScanReport> => {
  const looks: Look[] = [];
  for (const store of findStores(root)) looks.push(await firstLook(store, options));
  if (looks.some(({ findings, inspection }) => findings.length + inspection.corrupt.size > 0)) {
    await pause(BETWEEN_LOOKS);
  }
  const reports = looks.map((look) => secondLook(look, options));
  const [role = "private", otherRole] = new Set(reports.map((report) => report.role));
  return {
    root,
    role: otherRole === undefined ? role : "mixed",
    counts: reports.map(({ counts }) => counts).reduce(sum),
    findings: reports.flatMap(({ findings }) => findings).sort(compareFindings),
    fixed: reports.reduce((fixed, report) => fixed + report.fixed, 0),
    ...emptyOf(reports),
    unreadable: [...new Set(reports.flatMap(({ unreadable }) => unreadable))].sort(),
  };
};

const emptyOf = (reports: StoreReport[]): Pick<ScanReport, "empty"> => {
  const empty = reports.flatMap((report) => report.empty ?? []);
  return empty.length === 0 ? {} : { empty };
};

type StoreReport = Omit<ScanReport, "root" | "role"> & { role: Role };

/** The result of one pass over a store. */
interface Look extends Omit<StoreReport, "fixed" | "empty"> {
  store: Store;
  inspection: InspectionOptions;
  isEmpty: boolean;
}

/** Number of blobs from which a store is read by several threads: below, starting them takes longer than they save. */
const LARGE = 10_000;

/** Estimates from one folder, because blobs are distributed evenly over their folders. */
const isLarge = (reader: StoreReader, folders: string[]): boolean => {
  const [first] = folders;
  return first !== undefined && readBlobFolder(reader, first).blobs.length * folders.length >= LARGE;
};

const firstLook = async (store: Store, options: ScanOptions): Promise<Look> => {
  const { layout } = store;
  const role = options.role ?? roleOf(store);
  const reader = new StoreReader(layout);
  const folders = [...reader.blobFolders()];
  const repositories = [...reader.repositories()];
  const foreign = [...foreignAmongRepositories(reader), ...foreignAboveBlobs(reader)];
  const runner = options.runner ?? new ScanThreads(isLarge(reader, folders) ? (options.threads ?? 1) : 1);
  try {
    const { root } = layout;
    const hash = options.hash ?? false;
    const listed = await runner.run(folders.map((folder) => ({ kind: "blobs", root, folder, hash })));
    const blobs = listed.flatMap((result) => result.blobs ?? []);
    const strangers = [...strangersAboveBlobs(reader), ...blobs.flatMap((each) => each.strangers)];
    const inspection = { role, corrupt: new Set(blobs.flatMap(({ corrupt }) => corrupt)), now: Date.now() };
    const inspected = await runner.run(
      repositories.map(({ name }) => ({ kind: "inspect", root, repository: name, options: inspection, strangers })),
    );
    const inspections = inspected.flatMap((result) => result.inspection ?? []);
    return {
      store,
      role,
      inspection,
      counts: {
        ...inspections.map(({ counts }) => counts).reduce(sum, NOTHING),
        blobs: blobs.reduce((total, { count }) => total + count, 0),
      },
      findings: [
        ...inspections.flatMap((each) => each.findings),
        ...[...foreign, ...blobs.flatMap((each) => each.foreign)].map(foreignFinding),
      ],
      isEmpty: repositories.length === 0,
      unreadable: [...reader.unreadable, ...[...listed, ...inspected].flatMap(({ unreadable }) => unreadable)],
    };
  } finally {
    if (options.runner === undefined) await runner.close();
  }
};

const NOTHING: InspectionCounts = { repositories: 0, tags: 0, revisions: 0, indexes: 0, layerLinks: 0 };

const secondLook = ({ store, inspection, isEmpty, ...look }: Look, { fixLayerLinks }: ScanOptions): StoreReport => {
  const findings = confirm(store.layout, inspection, look.findings);
  return {
    ...look,
    findings: store.name === null ? findings : findings.map((finding) => ({ store: store.name ?? "", ...finding })),
    empty: isEmpty ? [store.layout.registry] : [],
    fixed: fixLayerLinks ? removeOrphans(store.layout, findings) : 0,
  };
};

/** Checks again the repositories and the blobs with findings in the first pass. */
const confirm = (layout: StorageLayout, first: InspectionOptions, found: Finding[]): Finding[] => {
  const reader = new StoreReader(layout);
  const corrupt = new Set([...first.corrupt].filter((digest) => isCorrupt(reader, digest)));
  const options = { ...first, corrupt, now: Date.now() };
  const known = new Set(found.map(findingKey));
  const findings = [...new Set(found.flatMap(({ repository }) => repository ?? []))]
    .flatMap((name) => inspectRepository(reader, layout.repository(name), options).findings)
    .filter((finding) => known.has(findingKey(finding)));
  const told = new Set(findings.map(({ path }) => path));
  findings.push(...found.filter(({ path }) => path !== undefined && !told.has(path) && reader.isThere(path)));
  const reported = new Set(findings.map(({ digest }) => digest));
  return [...findings, ...[...corrupt].filter((digest) => !reported.has(digest)).map(corruptWithoutRepository)];
};

/** Matters because the next push of this digest would skip the upload. */
const corruptWithoutRepository = (digest: Digest): Finding => ({
  repository: null,
  kind: "digest-mismatch",
  digest,
  parent: null,
  tags: [],
  platform: null,
  blobPresent: true,
  linkPresent: false,
  repairable: false,
});

const removeOrphans = (layout: StorageLayout, findings: Finding[]): number =>
  findings.filter(
    ({ kind, repository, digest }) =>
      kind === "orphan-layer-link" &&
      repository !== null &&
      digest !== null &&
      removeOrphanLayerLink(new StoreReader(layout), layout.repository(repository), digest),
  ).length;

/** Adds counts with the same names. */
const sum = <Counts extends { [Name in keyof Counts]: number }>(left: Counts, right: Counts): Counts => {
  const names = Object.keys(left) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, left[name] + right[name]])) as Counts;
};
