import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import { ExchangeError } from "../oci/http";
import { parseManifest } from "../oci/manifest";
import { type RegistryWriter, WriteRefused } from "../oci/push";
import { ReferrersApi } from "../oci/referrers";
import { StorageRefusal } from "../storage/refusal";
import { finishJournal, type ReadJournal } from "./journal";
import type { FailedChange } from "./removal";
import { RemoteRepository } from "./repository";

export interface RemoteUndoReport {
  /** The registry's origin. */
  registry: string;
  journal: string;
  /** What was restored, with the tags that were restored. */
  restored: { repository: string; digest: Digest; tags: string[] }[];
  /** Tags that point to something else by now, and were left alone. */
  left: { repository: string; tag: string; digest: Digest }[];
  problems: FailedChange[];
}

/** Whether everything is back, with its tags. */
export const isUndone = ({ problems, left }: RemoteUndoReport): boolean => problems.length + left.length === 0;

type Kept = ReadJournal["removals"][number];

/**
 * Restores what a clean-up removed, by digest and by tag, children first. A tag that exists again is not moved. It may be
 * interrupted at any time and run again.
 *
 * @throws StorageRefusal when the registry accepts no pushes
 */
export const undoRemotePrune = async (
  client: RegistryClient,
  writer: RegistryWriter,
  folder: string,
  { removals }: ReadJournal,
): Promise<RemoteUndoReport> => {
  await client.ping();
  const report: RemoteUndoReport = {
    registry: client.url.origin,
    journal: folder,
    restored: [],
    left: [],
    problems: [],
  };
  const referrers = new ReferrersApi(client);
  for (const kept of partsFirst(removals)) {
    const { repository, digest } = kept;
    const remote = new RemoteRepository(client, referrers, repository);
    try {
      await putBack(kept, remote, client, writer, report);
    } catch (error) {
      if (!(error instanceof WriteRefused || error instanceof ExchangeError)) throw error;
      if (error instanceof WriteRefused && [401, 403, 405].includes(error.status))
        throw refused(client.url, error.status);
      report.problems.push({ repository, digest, message: error.message });
    }
  }
  if (report.problems.length === 0) finishJournal(folder);
  return report;
};

const putBack = async (
  { repository, digest, mediaType, tags, bytes }: Kept,
  remote: RemoteRepository,
  client: RegistryClient,
  writer: RegistryWriter,
  report: RemoteUndoReport,
): Promise<void> => {
  const restored: string[] = [];
  for (const tag of tags) {
    const found = await remote.resolve(tag);
    if (typeof found === "string") {
      if (found !== digest) report.left.push({ repository, tag, digest: found });
      continue;
    }
    if (found.reason !== "missing") throw new ExchangeError("unreachable", `the tag ${tag} ${found.detail}`);
    await writer.pushManifest(repository, tag, bytes, mediaType);
    restored.push(tag);
  }
  // The tag already makes it available; pushed by digest too, it would get a version of its own on Gitea.
  const isThere = (await client.manifest(repository, digest)).status === 200;
  if (!isThere) await writer.pushManifest(repository, digest, bytes, mediaType);
  if (!isThere || restored.length > 0) report.restored.push({ repository, digest, tags: restored });
};

const partsFirst = (removals: readonly Kept[]): Kept[] => {
  const key = (repository: string, digest: Digest) => `${repository}@${digest}`;
  const known = new Map(removals.map((kept) => [key(kept.repository, kept.digest), kept]));
  const order = new Set<Kept>();
  const visit = (kept: Kept): void => {
    if (order.has(kept)) return;
    for (const part of partsOf(kept)) {
      const found = known.get(key(kept.repository, part));
      if (found !== undefined) visit(found);
    }
    order.add(kept);
  };
  for (const kept of removals.toReversed()) visit(kept);
  return [...order];
};

const partsOf = ({ bytes, mediaType }: Kept): Digest[] => {
  const manifest = parseManifest(bytes, mediaType);
  return manifest.kind === "index" ? manifest.manifests.map(({ digest }) => digest) : [];
};

const refused = ({ host }: URL, status: number): StorageRefusal => {
  if (status === 405)
    return new StorageRefusal("read-only", `${host} takes no pushes (405)`, "make it writable and run this again");
  const hint = "set REG_USER and REG_PASS to an account that may push";
  return new StorageRefusal("unauthorized", `${host} refuses the credentials for a push (${status})`, hint);
};
