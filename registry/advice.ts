import { basename } from "node:path";
import { commandLine } from "../text/shell-word";
import type { Digest } from "./oci/digest";

/** What is done about a finding. */
export type Remedy =
  /** This disk heals it: the bytes are there. */
  | "relink"
  /** A registry that has the same image heals it, and this disk does not. */
  | "copy"
  /** Nothing heals the image: it is built again, or given up. */
  | "give-up"
  /** No tag leads to it: it goes. */
  | "discard"
  /** Links that nothing needs go. */
  | "drop-links"
  /** Files that nothing needs are removed. */
  | "remove"
  /** What no registry wrote is moved out of its sight. */
  | "set-aside"
  /** The registry forgets what it remembers wrongly. */
  | "restart"
  /** The registry of this store is to be asked instead. */
  | "other-address"
  /** Nobody knows before it answers. */
  | "ask-again";

/** A finding, as far as its advice goes. */
export interface Ailment {
  remedy: Remedy;
  /** Null for a blob that no repository links. */
  repository: string | null;
  /** The tags whose images it breaks. */
  tags: string[];
  /** The manifests without a tag that it breaks, what names others first; then the broken object. */
  untagged: Digest[];
  /** What on the disk the remedy is for. */
  paths: string[];
  /** Whether only hashing finds it. */
  needsHash: boolean;
  /** The registry where it was looked for lately, in vain. */
  notAt: string | null;
}

export interface Advice {
  /** One command; words in capitals are the operator's to fill in. */
  next: string;
  /** What it leads to, in one line. */
  why: string;
  /** What gives the image up, where this disk does not heal it; null otherwise. */
  giveUp: string | null;
}

export interface Surroundings {
  /** The registry's origin. */
  registry: string;
  /** The storage root as it was given. */
  root: string;
  /** Whether something exists at that path. */
  isTaken: (path: string) => boolean;
}

/** The step that comes next. Whoever follows it and asks again comes to an end: healed, or nothing left but giving up. */
export const advise = (ailment: Ailment, { registry, root, isTaken }: Surroundings): Advice => {
  const only = (why: string, ...words: string[]): Advice => ({ next: commandLine(...words), why, giveUp: null });
  const repair = (...words: string[]): string =>
    commandLine("warden", "repair", registry, "--storage", root, ...words, "--apply");
  const { paths, notAt } = ailment;
  const hash = ailment.needsHash ? ["--hash"] : [];
  const giveUp = (): string =>
    repair(...namesToDiscard(ailment, registry).flatMap((name) => ["--discard", name]), ...hash);
  switch (ailment.remedy) {
    case "relink":
      return { next: repair(), why: "healed from this disk, which still has its bytes", giveUp: null };
    case "copy":
      return {
        next: repair("--from", "OTHER-REGISTRY", ...hash),
        why: "healed from a registry that has the same image; without one rebuild and push it again, or give it up",
        giveUp: giveUp(),
      };
    case "give-up":
      return {
        next: giveUp(),
        why: `cannot be healed here${notAt === null ? "" : `, nor from ${notAt}`}: rebuild and push it again, or give it up with this command`,
        giveUp: giveUp(),
      };
    case "discard":
      return { next: giveUp(), why: "no tag leads to it, so it is worth no repair", giveUp: null };
    case "drop-links":
      return only("links that nothing needs", "warden", "scan", root, "--fix-layer-links");
    case "remove":
      return only("files that nothing needs", "rm", "-r", "--", ...paths);
    case "set-aside":
      return only(
        "moved out of the registry's sight, for it wrote no such thing",
        ...setAside(root, paths[0] ?? "", isTaken),
      );
    case "restart":
      return only(
        "restart the registry: the disk is whole, and what the registry remembers of it is not",
        ...["docker", "restart", "REGISTRY-CONTAINER"],
      );
    case "other-address":
      return only(
        `${registry} serves another store: ask the registry of this one, or restart the proxy that leads elsewhere`,
        ...["warden", "diagnose", "REGISTRY", root],
      );
    case "ask-again":
      return only("nobody can tell before it answers", "warden", "verify", registry);
  }
};

/** The images as `warden repair --discard` takes them; of a repository that lost its folders, its name. */
const namesToDiscard = ({ repository, tags, untagged }: Ailment, registry: string): string[] => {
  const name = `${new URL(registry).host}/${repository}`;
  if (tags.length > 0) return tags.map((tag) => `${name}:${tag}`);
  return untagged.length === 0 ? [name] : untagged.map((digest) => `${name}@${digest}`);
};

/** Into the storage root, beside the folder that is the registry's, under a name that nothing has there. */
const setAside = (root: string, path: string, isTaken: Surroundings["isTaken"]): string[] => {
  const name = `${root.replace(/\/+$/, "")}/set-aside-${basename(path)}`;
  let free = name;
  for (let count = 2; isTaken(free); count++) free = `${name}-${count}`;
  return ["mv", "-nT", "--", path, free];
};
