import * as z from "zod";
import type { Digest } from "../oci/digest";
import type { Failure } from "../oci/failure";
import { Folder, within } from "./folder";
import type { StorageLayout } from "./layout";

/** What a repair looked for in another registry, in vain: advice that was followed is not given again. */
const record = z.object({
  /** Milliseconds since the epoch. */
  at: z.number(),
  /** The other registry's origin. */
  from: z.string(),
  /** `repository@digest`; of what has no digest `repository:tag`. */
  names: z.array(z.string()),
});

type Sought = z.output<typeof record>;

const FILE = "sought.json";
/** A hundred thousand names. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Tomorrow another registry may have it. */
const FORGOTTEN_AFTER = 24 * 3_600_000;

/** Writes down what a repair with another registry has left broken; of the last one only. */
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

/** Where an object was looked for in vain within a day; null where it was not. */
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
    // Somebody wrote something else there: the advice then is to look.
    return null;
  }
};
