import * as z from "zod";
import type { Digest } from "../oci/digest";
import type { Failure } from "../oci/failure";
import { Folder, within } from "./folder";
import type { StorageLayout } from "./layout";

/** What a repair looked for in another registry without success, so that advice already followed is not repeated. */
const record = z.object({
  /** Milliseconds since the epoch. */
  at: z.number(),
  /** The other registry's origin. */
  from: z.string(),
  /** `repository@digest`; for objects without a digest `repository:tag`. */
  names: z.array(z.string()),
});

type Sought = z.output<typeof record>;

const FILE = "sought.json";
/** Enough for a hundred thousand names. */
const MOST_BYTES = 32 * 1024 * 1024;

/** After a day, another registry may have it. */
const FORGOTTEN_AFTER = 24 * 3_600_000;

/** Records what the last repair from another registry left broken. */
export const rememberSought = (
  layout: StorageLayout,
  from: string,
  remaining: readonly Failure[],
  now: number,
): void => {
  const names = remaining.flatMap(({ repository, digest, tags }) =>
    digest === null ? tags.map((tag) => `${repository}:${tag}`) : [`${repository}@${digest}`],
  );
  const sought: Sought = { at: now, from, names };
  within(Folder.make(layout, layout.warden), (folder) => {
    folder.removeFile(`${FILE}.new`);
    folder.writeNew(`${FILE}.new`, [JSON.stringify(sought)]);
    folder.move(`${FILE}.new`, folder, FILE);
  });
};

/** The registry where an object was looked for within a day without success; null if it was not looked for. */
export const soughtIn = (
  layout: StorageLayout,
  now: number,
): ((repository: string, digest: Digest | null, tags: readonly string[]) => string | null) => {
  const sought = read(layout);
  if (sought === null || now - sought.at > FORGOTTEN_AFTER) return () => null;
  const names = new Set(sought.names);
  return (repository, digest, tags) =>
    names.has(`${repository}@${digest}`) || tags.some((tag) => names.has(`${repository}:${tag}`)) ? sought.from : null;
};

const read = (layout: StorageLayout): Sought | null => {
  try {
    const folder = Folder.open(layout, layout.warden);
    const bytes = folder === null ? null : within(folder, () => folder.read(FILE, MOST_BYTES));
    return bytes === null ? null : record.parse(JSON.parse(bytes.toString("utf8")));
  } catch {
    // The file has been overwritten with something else: the advice then is to look again.
    return null;
  }
};
