import { appendFileSync, closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Digest, hasherFor, matches } from "../oci/digest";
import { ExchangeError } from "../oci/http";
import { type RegistryWriter, UPLOAD_PIECE, WriteRefused } from "../oci/push";
import { DiskRefusal } from "./disk-error";
import { Folder, within } from "./folder";
import { StorageRefusal } from "./refusal";
import type { RepairSources, RepairStep } from "./repair-plan";

/** A step that failed, and why, in one line. */
export interface FailedAction {
  repository: string;
  digest: Digest | null;
  message: string;
}

/**
 * Carries out the steps in order, each as a push that the registry verifies. A failed step does not stop the others.
 *
 * @throws StorageRefusal when the registry accepts no pushes at all
 */
export const applyRepair = async (
  steps: RepairStep[],
  writer: RegistryWriter,
  sources: RepairSources,
): Promise<FailedAction[]> => {
  const problems: FailedAction[] = [];
  for (const step of steps) {
    try {
      await (step.kind === "blob" ? pushBlob(step, writer, sources) : pushManifest(step, writer, sources));
    } catch (error) {
      problems.push({ repository: step.repository, digest: step.digest, message: explain(error, writer.url) });
    }
  }
  return problems;
};

/** The error of one object, from the registry or a disk. @throws errors that affect everything: no pushes accepted, or a bug */
export const explain = (error: unknown, { host }: URL): string => {
  if (error instanceof WriteRefused && error.status === 405) {
    const hint =
      "restart it with storage.maintenance.readonly and proxy off, and storage.delete.enabled on, then run this again";
    throw new StorageRefusal("read-only", `${host} takes no pushes or deletions (405)`, hint);
  }
  if (error instanceof WriteRefused && (error.status === 401 || error.status === 403)) {
    const hint = "set REG_USER and REG_PASS to an account that may push and delete";
    throw new StorageRefusal("unauthorized", `${host} refuses the credentials for a push (${error.status})`, hint);
  }
  if (error instanceof WriteRefused || error instanceof ExchangeError || error instanceof NotIntact) {
    return error.message;
  }
  if (error instanceof DiskRefusal) return error.answer;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && syscall !== undefined && path !== undefined) return `${syscall} ${path} failed (${code})`;
  throw error;
};

/** The bytes are no longer those that the plan saw. */
class NotIntact extends Error {
  override readonly name = "NotIntact";
}

const pushManifest = async (
  { repository, digest, tag, bytes, mediaType }: RepairStep & { kind: "manifest" },
  writer: RegistryWriter,
  { storage }: RepairSources,
): Promise<void> => {
  await inTemporaryFile(async (path) => {
    writeFileSync(path, bytes);
    replaceBroken(storage, digest, path);
  });
  await writer.pushManifest(repository, tag ?? digest, bytes, mediaType);
  // A registry whose cache still has what its disk has lost answers 201 and stores nothing: blobStore.Put of
  // distribution. After an upload it checks the disk: blobWriter.moveBlob.
  if (matches(bytes, digest) && !(await writer.serves(repository, digest))) {
    await writer.pushBlob(repository, digest, [bytes]);
  }
};

const pushBlob = async (
  step: RepairStep & { kind: "blob" },
  writer: RegistryWriter,
  { storage, from }: RepairSources,
): Promise<void> => {
  const { repository, digest } = step;
  if (step.source === "storage" && storage !== null) {
    await writer.pushBlob(repository, digest, storage.pieces(digest, UPLOAD_PIECE));
  } else if (step.source === "from" && from !== null) {
    await inTemporaryFile(async (path) => {
      await pullBlob(step, from, path);
      replaceBroken(storage, digest, path);
      await writer.pushBlob(repository, digest, piecesOf(path));
    });
  }
};

/**
 * Replaces broken data, in a single rename. A registry never overwrites the data of a digest, so a push alone would be
 * accepted and change nothing.
 *
 * @param path a file that hashes to the digest
 */
const replaceBroken = (storage: RepairSources["storage"], digest: Digest, path: string): void => {
  if (storage === null) return;
  const folder = Folder.open(storage.layout, storage.layout.blob(digest));
  if (folder === null) return;
  within(folder, () => {
    const broken = folder.stat("data");
    if (broken === null || storage.isIntact(digest)) return;
    // Left by a run that was killed.
    folder.removeFile(BESIDE);
    try {
      folder.writeNew(BESIDE, piecesOf(path), broken);
      folder.move(BESIDE, folder, "data");
    } finally {
      folder.removeFile(BESIDE);
    }
  });
};

/** Name of the new file with a blob's data, before it replaces the old one. */
const BESIDE = "data.warden";

/** Pulls a blob into a file, so that it is verified completely before any of it is pushed. @throws NotIntact */
const pullBlob = async (
  { repository, digest, size }: RepairStep & { kind: "blob" },
  from: NonNullable<RepairSources["from"]>,
  path: string,
): Promise<void> => {
  let hash = hasherFor(digest);
  const { status } = await from.blobWhole(repository, digest, size ?? Number.POSITIVE_INFINITY, () => {
    // Each attempt starts with an empty file.
    writeFileSync(path, "");
    const fresh = hasherFor(digest);
    hash = fresh;
    return (piece) => {
      fresh?.update(piece);
      appendFileSync(path, piece);
    };
  });
  if (status !== 200) throw new NotIntact(`${from.url.host} answered ${status} for the blob ${digest}`);
  if (hash?.digest() !== digest) throw new NotIntact(`${from.url.host} sent other bytes than those of ${digest}`);
};

const inTemporaryFile = async (use: (path: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "warden-repair-"));
  try {
    await use(join(folder, "content"));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const piecesOf = function* (path: string): Generator<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(UPLOAD_PIECE);
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) yield buffer.subarray(0, read);
  } finally {
    closeSync(file);
  }
};
