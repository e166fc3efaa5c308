import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isDigest } from "../oci/digest";
import type { StorageLayout } from "./layout";
import { fileSize, StoreReader } from "./reader";
import { shellWord } from "./shell-word";

/**
 * Where removed links go: a folder of the same shape as the store's root, so that copying it over the root puts every
 * link back, times included. Each removal is one rename: it happened or it did not, whenever the process ends.
 */
export class Journal {
  private readonly made = new Set<string>();

  private constructor(
    private readonly layout: StorageLayout,
    readonly folder: string,
  ) {}

  /** @param now milliseconds since the epoch, of the folder's name */
  static begin(layout: StorageLayout, now: number, plan: unknown): Journal {
    const folder = join(journals(layout), new Date(now).toISOString().replaceAll(":", "."));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "plan.json"), `${JSON.stringify(plan, null, 2)}\n`);
    return new Journal(layout, folder);
  }

  /** Takes a folder of links out of the store. What is gone already is as good as removed. */
  remove(path: string): void {
    const target = join(this.folder, path.slice(this.layout.root.length));
    const parent = dirname(target);
    if (!this.made.has(parent)) mkdirSync(parent, { recursive: true });
    this.made.add(parent);
    try {
      renameSync(path, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** The shell command that puts back what a journal took out, and replaces nothing. */
export function undoCommand(root: string, journal: string): string {
  return `cp --archive --no-clobber ${shellWord(join(journal, "docker"))} ${shellWord(root)}`;
}

/** Drops the journals of links whose blobs the garbage collection has taken since: those would lead nowhere. */
export function dropCollectedJournals(layout: StorageLayout): void {
  const folder = journals(layout);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (leadsNowhere(layout, join(folder, name))) rmSync(join(folder, name), { recursive: true });
  }
}

function journals(layout: StorageLayout): string {
  return join(layout.warden, "journal");
}

function leadsNowhere(layout: StorageLayout, folder: string): boolean {
  const reader = new StoreReader(layout);
  const links = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith("/link"));
  return links.some((path) => {
    const link = reader.link(join(folder, path));
    return isDigest(link) && fileSize(layout.blobData(link)) === null;
  });
}
