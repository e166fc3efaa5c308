import { shellWord } from "../../text/shell-word";
import type { Finding } from "./finding";
import { onSameMount } from "./folder";
import { HIDES } from "./foreign";
import type { RepositoryLayout, StorageLayout } from "./layout";
import type { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";

/**
 * The repositories that do not exclusively own their folders, each with the reason: two names for one folder, a symbolic link
 * in it, another file system. Anything removed under one name would be gone under the other.
 *
 * @throws StorageRefusal `damaged` if the registry's collection would miss objects that are to be kept
 */
export const notItsOwn = (reader: StoreReader, findings: Finding[]): Map<string, string> => {
  const { layout } = reader;
  const foreign = findings.filter(({ kind }) => kind === "foreign-entry");
  refuseHiding(foreign);
  const reasons = new Map<string, string>();
  const leave = (name: string, reason: string) => {
    if (!reasons.has(name)) reasons.set(name, reason);
  };
  const repositories = [...reader.repositories()];
  const links = foreign.flatMap(({ path = "", repository }) => (reader.isLink(path) ? [{ path, repository }] : []));
  for (const { path, repository } of links) {
    const target = reader.targetOf(path);
    if (repository !== null) leave(repository, `${path} is a symbolic link`);
    for (const { name, folder } of repositories) {
      if (target !== null && overlap(target, reader.targetOf(folder) ?? folder)) {
        leave(name, `${path} and ${folder} are one folder`);
      }
    }
  }
  for (const [first, second] of twins(reader, repositories)) {
    leave(first.name, `${first.folder} and ${second.folder} are one folder`);
    leave(second.name, `${second.folder} and ${first.folder} are one folder`);
  }
  for (const repository of repositories) {
    if (reasons.has(repository.name) || isOnOneMount(layout, repository)) continue;
    leave(repository.name, `${repository.folder} is not one folder on the store's mount`);
  }
  return reasons;
};

const refuseHiding = (foreign: Finding[]): void => {
  const hiding = foreign.find(({ effect }) => effect === HIDES);
  if (hiding?.path === undefined) return;
  throw new StorageRefusal("damaged", `${hiding.path}: ${HIDES}`, `mv ${shellWord(hiding.path)} SOMEWHERE-ELSE`);
};

/** Whether the folders are the same, or one contains the other. */
const overlap = (one: string, other: string): boolean =>
  `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);

/** Pairs of repositories that share a folder: bind mounts. */
const twins = (reader: StoreReader, repositories: RepositoryLayout[]): [RepositoryLayout, RepositoryLayout][] => {
  const known = new Map<string, RepositoryLayout>();
  const found: [RepositoryLayout, RepositoryLayout][] = [];
  for (const repository of repositories) {
    for (const folder of foldersOf(repository)) {
      const identity = reader.identityOf(folder);
      if (identity === null) continue;
      const other = known.get(identity);
      if (other === undefined) known.set(identity, repository);
      else if (other !== repository) found.push([other, repository]);
    }
  }
  return found;
};

const foldersOf = ({ folder, layers, manifests, revisions, tags }: RepositoryLayout): string[] => [
  folder,
  layers,
  manifests,
  revisions,
  tags,
];

const isOnOneMount = (layout: StorageLayout, repository: RepositoryLayout): boolean =>
  onSameMount(layout, [layout.repositories, ...foldersOf(repository)]);
