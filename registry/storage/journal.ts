import { compareText } from "../../text/compare-text";
import { shellWord } from "../../text/shell-word";
import { type Digest, isDigest } from "../oci/digest";
import { changed, Folder, isSame, within } from "./folder";
import { freeJournalName, isJournalName } from "./journal-name";
import type { StorageLayout } from "./layout";

/** A journal's file with the plan, beside the removed links. */
const PLAN = "plan.json";
/** The blobs that only removed links lead to and that had data, one a line: exactly what a collection removes. */
const GARBAGE = "garbage";
/** Written when everything has been removed; if it is missing, the run that began the journal was interrupted. */
const COMPLETE = "complete";

/** Bytes; a store of a million blobs has 72 MB of digests. */
const MOST_GARBAGE = 1024 * 1024 * 1024;

/**
 * Where removed links go: a folder with the same structure as the store's root, so that copying it over the root restores
 * every link, including its times. Each removal is a single rename, so it is atomic even if the process is killed.
 *
 * An interrupted run is continued in its own journal, so that one undo covers all of it.
 */
export class Journal {
  readonly #layout: StorageLayout;
  /** The open folders in the journal, by their path relative to the store's root. */
  readonly #made = new Map<string, Folder>();
  #earlier = 0;

  // biome-ignore lint/style/useConsistentMemberAccessibility: a constructor has no name for #
  private constructor(
    layout: StorageLayout,
    readonly folder: string,
  ) {
    this.#layout = layout;
  }

  /**
   * @param now milliseconds since the epoch, for the folder's name
   * @param garbage the blobs with data that nothing leads to after the plan
   */
  static begin(layout: StorageLayout, now: number, plan: unknown, garbage: Iterable<Digest>): Journal {
    return within(Folder.make(layout, journalsOf(layout)), (journals) => {
      const name = unfinishedIn(journals) ?? freeJournalName(now, (taken) => journals.stat(taken) !== null);
      journals.makeFolder(name);
      return within(folderIn(journals, name), (folder) => {
        writeFirst(folder, PLAN, [`${JSON.stringify(plan, null, 2)}\n`]);
        writeFirst(folder, GARBAGE, lines(garbage));
        return new Journal(layout, folder.path);
      });
    });
  }

  /** The journal of an interrupted run; null if there is none. */
  static unfinished(layout: StorageLayout): Journal | null {
    const journals = Folder.open(layout, journalsOf(layout));
    if (journals === null) return null;
    return within(journals, (folder) => {
      const name = unfinishedIn(folder);
      return name === null ? null : new Journal(layout, `${folder.path}/${name}`);
    });
  }

  /**
   * Moves an entry out of its folder; does nothing if it is already gone.
   *
   * @param path of a folder of links
   * @param from the folder that contains it, held open. @default the folder at its path
   */
  remove(path: string, from?: Folder): void {
    const slash = path.lastIndexOf("/");
    const [parent, name] = [path.slice(0, slash), path.slice(slash + 1)];
    const folder = from ?? Folder.open(this.#layout, parent);
    if (folder === null) return;
    try {
      this.#take(folder, name, parent.slice(this.#layout.root.length + 1));
    } finally {
      if (from === undefined) folder.close();
    }
  }

  #take(folder: Folder, name: string, below: string): void {
    const target = this.#at(below);
    // Pushed and removed again since an earlier run: an undo restores the last state.
    if (target.stat(name) !== null) {
      if (folder.stat(name) === null) return;
      within(Folder.make(this.#layout, `${this.folder}/earlier`), (earlier) => {
        let free = this.#earlier;
        while (earlier.stat(String(free)) !== null) free++;
        this.#earlier = free + 1;
        target.move(name, earlier, String(free));
      });
    }
    if (folder.stat(name)?.isFile()) {
      // Not a folder of links, but something else in its place.
      folder.move(name, target);
      return;
    }
    const held = folder.folder(name);
    if (held === null) return;
    within(held, ({ path }) => {
      folder.move(name, target);
      const moved = target.stat(name);
      if (moved === null || isSame(moved, held.stats())) return;
      target.move(name, folder);
      throw changed(path);
    });
  }

  #at(below: string): Folder {
    const known = this.#made.get(below);
    if (known !== undefined) return known;
    // Keeps few folders open: removals come folder by folder.
    this.#closeFolders();
    const made = Folder.make(this.#layout, `${this.folder}/${below}`);
    this.#made.set(below, made);
    return made;
  }

  /** Marks the journal as finished: everything has been removed. */
  complete(): void {
    this.close();
    within(openFolder(this.#layout, this.folder), (folder) => writeFirst(folder, COMPLETE, [""]));
  }

  close(): void {
    this.#closeFolders();
  }

  #closeFolders(): void {
    for (const folder of this.#made.values()) folder.close();
    this.#made.clear();
  }
}

/** The shell command that restores what a journal took out, without replacing anything. */
export const undoCommand = (root: string, journal: string): string =>
  `cp --archive --no-clobber ${shellWord(`${journal}/docker`)} ${shellWord(root)}`;

/**
 * Deletes the journals that a garbage collection has made useless, because their links lead nowhere now. This is detected
 * by blobs listed as garbage that had data and have none now.
 *
 * @param hasData whether a blob has data
 */
export const dropCollectedJournals = (layout: StorageLayout, hasData: (digest: Digest) => boolean): void => {
  const journals = Folder.open(layout, journalsOf(layout));
  if (journals === null) return;
  within(journals, (folder) => {
    const names = namesOf(folder);
    const last = names.findLastIndex((name) => within(folderIn(folder, name), (each) => isCollected(each, hasData)));
    // A collection also removes the garbage of all earlier journals.
    for (const name of names.slice(0, last + 1)) folder.removeAll(name);
  });
};

const isCollected = (journal: Folder, hasData: (digest: Digest) => boolean): boolean => {
  const garbage = journal.read(GARBAGE, MOST_GARBAGE)?.toString("latin1").split("\n") ?? [];
  return garbage.some((digest) => isDigest(digest) && !hasData(digest));
};

const journalsOf = (layout: StorageLayout): string => `${layout.warden}/journal`;

const unfinishedIn = (journals: Folder): string | null => {
  const isUnfinished = (name: string) => within(folderIn(journals, name), (each) => each.stat(COMPLETE) === null);
  return namesOf(journals).findLast(isUnfinished) ?? null;
};

/** The journals, oldest first; other entries are not ours. */
const namesOf = (journals: Folder): string[] =>
  journals
    .names()
    .filter((name) => isJournalName(name) && journals.stat(name)?.isDirectory())
    .sort(compareText);

const folderIn = (parent: Folder, name: string): Folder => {
  const folder = parent.folder(name);
  if (folder === null) throw changed(`${parent.path}/${name}`);
  return folder;
};

const openFolder = (layout: StorageLayout, path: string): Folder => {
  const folder = Folder.open(layout, path);
  if (folder === null) throw changed(path);
  return folder;
};

/** Writes a file unless it exists: when a run is continued, its first plan covers everything. */
const writeFirst = (folder: Folder, name: string, pieces: Iterable<string>): void => {
  if (folder.stat(name) !== null) return;
  // Atomic, even if the process is killed.
  folder.removeFile(`${name}.new`);
  folder.writeNew(`${name}.new`, pieces);
  folder.move(`${name}.new`, folder, name);
};

const lines = function* (digests: Iterable<Digest>): Generator<string> {
  for (const digest of digests) yield `${digest}\n`;
};
