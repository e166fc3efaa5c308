import { basename } from "node:path";
import { commandLine } from "../text/shell-word";
import type { Digest } from "./oci/digest";

/** The remedy for a finding. */
export type Remedy =
  /** This disk can repair it: the bytes are present. */
  | "relink"
  /** Another registry with the same image can repair it; this disk cannot. */
  | "copy"
  /** Nothing can repair the image: it has to be rebuilt or discarded. */
  | "give-up"
  /** No tag leads to it: it is discarded. */
  | "discard"
  /** Unneeded links are removed. */
  | "drop-links"
  /** Unneeded files are removed. */
  | "remove"
  /** An entry that no registry wrote is moved out of its way. */
  | "set-aside"
  /** A restart clears what the registry has cached wrongly. */
  | "restart"
  /** The address of this store's registry has to be given instead. */
  | "other-address"
  /** Unknown until the registry answers. */
  | "ask-again";

/** The parts of a finding that its advice depends on. */
export interface Ailment {
  remedy: Remedy;
  /** Null for a blob that no repository links. */
  repository: string | null;
  /** The tags whose images it breaks. */
  tags: string[];
  /** The untagged manifests that it breaks, topmost first; then the broken object. */
  untagged: Digest[];
  /** The paths on the disk to which the remedy applies. */
  paths: string[];
  /** Whether only hashing reveals it. */
  needsHash: boolean;
  /** The registry where it was recently looked for without success. */
  notAt: string | null;
}

export interface Advice {
  /** One command; words in capitals are placeholders for the operator. */
  next: string;
  /** What it achieves, in one line. */
  why: string;
  /** The command that discards the image, if this disk cannot repair it; null otherwise. */
  giveUp: string | null;
}

export interface AdviceContext {
  /** The registry's origin. */
  registry: string;
  /** The storage root as given. */
  root: string;
  /** Whether something exists at that path. */
  isTaken: (path: string) => boolean;
}

/** The next step. Following it and asking again always terminates: repaired, or with nothing left but to discard the image. */
export const advise = (ailment: Ailment, { registry, root, isTaken }: AdviceContext): Advice => {
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

/** The images as arguments of `warden repair --discard`; for a repository that lost its folders, its name. */
const namesToDiscard = ({ repository, tags, untagged }: Ailment, registry: string): string[] => {
  const name = `${new URL(registry).host}/${repository}`;
  if (tags.length > 0) return tags.map((tag) => `${name}:${tag}`);
  return untagged.length === 0 ? [name] : untagged.map((digest) => `${name}@${digest}`);
};

/** Moves an entry into the storage root, next to the registry's folder, under an unused name. */
const setAside = (root: string, path: string, isTaken: AdviceContext["isTaken"]): string[] => {
  const name = `${root.replace(/\/+$/, "")}/set-aside-${basename(path)}`;
  let free = name;
  for (let count = 2; isTaken(free); count++) free = `${name}-${count}`;
  return ["mv", "-nT", "--", path, free];
};
