import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type RepositoryLayout, StorageLayout } from "../../../registry/storage/layout";
import { digestOf, type SyntheticManifest } from "../../lab/images";

/** In memory if possible: each removal is synced, which on a disk takes half of a test's time. */
const temporary = (): string => {
  const memory = "/dev/shm";
  try {
    accessSync(memory, constants.W_OK);
    return memory;
  } catch {
    return tmpdir();
  }
};

/** A store in a temporary folder, written as a registry writes it. */
export class SyntheticStore {
  readonly layout: StorageLayout;

  constructor(root: string = mkdtempSync(join(temporary(), "warden-store-"))) {
    this.layout = new StorageLayout(root);
    mkdirSync(this.layout.repositories, { recursive: true });
  }

  get root(): string {
    return this.layout.root;
  }

  repository(name: string): RepositoryLayout {
    return this.layout.repository(name);
  }

  push(name: string, manifest: SyntheticManifest, ...tags: string[]): this {
    const repository = this.repository(name);
    for (const blob of manifest.blobs) {
      write(this.layout.blobData(digestOf(blob)), blob.bytes);
      write(repository.layerLink(digestOf(blob)), digestOf(blob));
    }
    for (const child of manifest.manifests) this.push(name, child);
    const digest = digestOf(manifest);
    write(this.layout.blobData(digest), manifest.bytes);
    write(repository.revisionLink(digest), digest);
    for (const tag of tags) {
      write(`${repository.tagHistoryEntry(tag, digest)}/link`, digest);
      write(repository.tagLink(tag), digest);
    }
    return this;
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }
}

export const write = (path: string, bytes: string | Uint8Array): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
};
