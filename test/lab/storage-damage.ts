import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Reason } from "../../registry/oci/failure";
import type { FindingKind } from "../../registry/storage/finding";
import { type RepositoryLayout, StorageLayout } from "../../registry/storage/layout";
import { type Content, image, index, type SyntheticManifest } from "./images";

/** An index of amd64 and arm64 under the tag v1; the damage is done to arm64. */
export interface Victim {
  both: SyntheticManifest;
  amd64: SyntheticManifest;
  arm64: SyntheticManifest;
  config: Content;
  firstLayer: Content;
}

/** Damage to a separate repository, and what is found afterwards. */
export interface Damage {
  /** Also the repository's name. */
  name: string;
  make(on: DamagedRepository): void;
  /** By a scan: the kind, and which part of the victim it names; null for a tag or a repository. */
  scan: [FindingKind, ((victim: Victim) => Content) | null][];
  /** By a walk with --blobs last-byte over a registry without a warm cache; null if only hashing finds it. */
  verify: Reason | null;
  /** Whether the bytes are still there, so that a repair needs no other registry. */
  repairable: boolean;
}

export class DamagedRepository {
  readonly repository: RepositoryLayout;
  readonly victim: Victim;
  readonly #layout: StorageLayout;

  constructor(root: string, name: string) {
    this.#layout = new StorageLayout(root);
    this.repository = this.#layout.repository(name);
    this.victim = victimOf(name);
  }

  revisionLink(of: Content): string {
    return this.repository.revisionLink(of.descriptor.digest);
  }

  layerLink(of: Content): string {
    return this.repository.layerLink(of.descriptor.digest);
  }

  data(of: Content): string {
    return this.#layout.blobData(of.descriptor.digest);
  }
}

/** Every repository has its own content, so that damage to one does not affect another. */
export const victimOf = (name: string): Victim => {
  const amd64 = image(`${name}/amd64`);
  const arm64 = image(`${name}/arm64`, { platform: { os: "linux", architecture: "arm64" } });
  const [config, firstLayer] = arm64.blobs;
  if (config === undefined || firstLayer === undefined) throw new Error("an image without config and layers");
  return { both: index([amd64, arm64]), amd64, arm64, config, firstLayer };
};

const both = ({ both }: Victim) => both;
const arm64 = ({ arm64 }: Victim) => arm64;
const config = ({ config }: Victim) => config;
const firstLayer = ({ firstLayer }: Victim) => firstLayer;

const alter = (path: string) => {
  const text = readFileSync(path, "latin1");
  writeFileSync(
    path,
    text.replace(/"size":(\d)/, (_, digit) => `"size":${digit === "9" ? "8" : Number(digit) + 1}`),
    "latin1",
  );
};

const removeFolder = (path: string) => rmSync(path, { recursive: true });

/** Every kind of damage that a registry was seen to suffer. */
export const DAMAGES: Damage[] = [
  {
    name: "child-link-gone",
    make: (on) => rmSync(on.revisionLink(on.victim.arm64)),
    scan: [["orphan-index-child", arm64]],
    verify: "missing",
    repairable: true,
  },
  {
    name: "child-link-empty",
    make: (on) => writeFileSync(on.revisionLink(on.victim.arm64), ""),
    scan: [["broken-link", arm64]],
    verify: "server-error",
    repairable: true,
  },
  {
    name: "child-link-with-newline",
    make: (on) => writeFileSync(on.revisionLink(on.victim.arm64), `${on.victim.arm64.descriptor.digest}\n`),
    scan: [["broken-link", arm64]],
    verify: "server-error",
    repairable: true,
  },
  {
    name: "child-data-gone",
    make: (on) => rmSync(on.data(on.victim.arm64)),
    scan: [["orphan-index-child", arm64]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "child-gone",
    make: (on) => {
      removeFolder(dirname(on.revisionLink(on.victim.arm64)));
      removeFolder(dirname(on.data(on.victim.arm64)));
    },
    scan: [["orphan-index-child", arm64]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "child-truncated",
    make: (on) => truncateSync(on.data(on.victim.arm64), 100),
    scan: [["unreadable-manifest", arm64]],
    verify: "server-error",
    repairable: false,
  },
  {
    name: "child-no-json",
    make: (on) => writeFileSync(on.data(on.victim.arm64), Buffer.alloc(on.victim.arm64.bytes.length, "x")),
    scan: [["unreadable-manifest", arm64]],
    verify: "server-error",
    repairable: false,
  },
  {
    name: "child-no-manifest",
    make: (on) => writeFileSync(on.data(on.victim.arm64), "{}"),
    scan: [["unreadable-manifest", arm64]],
    verify: "server-error",
    repairable: false,
  },
  {
    name: "child-link-of-unknown-algorithm",
    make: (on) => writeFileSync(on.revisionLink(on.victim.arm64), `md5:${"a".repeat(32)}`),
    scan: [["broken-link", arm64]],
    verify: "server-error",
    repairable: true,
  },
  {
    name: "child-altered",
    make: (on) => alter(on.data(on.victim.arm64)),
    scan: [["digest-mismatch", arm64]],
    verify: "digest-mismatch",
    repairable: false,
  },
  {
    name: "config-data-gone",
    make: (on) => rmSync(on.data(on.victim.config)),
    scan: [["missing-config", config]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "config-link-gone",
    make: (on) => rmSync(on.layerLink(on.victim.config)),
    scan: [["missing-config", config]],
    verify: "missing",
    repairable: true,
  },
  {
    name: "config-truncated",
    make: (on) => truncateSync(on.data(on.victim.config), 10),
    scan: [["size-mismatch", config]],
    verify: "truncated",
    repairable: false,
  },
  {
    name: "layer-data-gone",
    make: (on) => rmSync(on.data(on.victim.firstLayer)),
    scan: [["missing-layer", firstLayer]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "layer-link-gone",
    make: (on) => rmSync(on.layerLink(on.victim.firstLayer)),
    scan: [["missing-layer", firstLayer]],
    verify: "missing",
    repairable: true,
  },
  {
    name: "layer-link-empty",
    make: (on) => writeFileSync(on.layerLink(on.victim.firstLayer), ""),
    scan: [["broken-link", firstLayer]],
    verify: "server-error",
    repairable: true,
  },
  {
    name: "layer-truncated",
    make: (on) => truncateSync(on.data(on.victim.firstLayer), 10),
    scan: [["size-mismatch", firstLayer]],
    verify: "truncated",
    repairable: false,
  },
  {
    name: "layer-grown",
    make: (on) => appendFileSync(on.data(on.victim.firstLayer), "x"),
    scan: [["size-mismatch", firstLayer]],
    verify: "size-mismatch",
    repairable: false,
  },
  {
    name: "layer-altered",
    make: (on) => writeFileSync(on.data(on.victim.firstLayer), Buffer.alloc(on.victim.firstLayer.bytes.length, "x")),
    scan: [["digest-mismatch", firstLayer]],
    verify: null,
    repairable: false,
  },
  {
    name: "tag-link-gone",
    make: (on) => rmSync(on.repository.tagLink("v1")),
    scan: [["broken-tag", null]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "tag-link-empty",
    make: (on) => writeFileSync(on.repository.tagLink("v1"), ""),
    scan: [["broken-tag", null]],
    verify: "server-error",
    repairable: false,
  },
  {
    name: "tag-link-with-newline",
    make: (on) => appendFileSync(on.repository.tagLink("v1"), "\n"),
    scan: [["broken-tag", null]],
    verify: "server-error",
    repairable: false,
  },
  {
    name: "index-link-empty",
    make: (on) => writeFileSync(on.revisionLink(on.victim.both), ""),
    scan: [["broken-link", both]],
    verify: "server-error",
    repairable: true,
  },
  {
    name: "index-truncated",
    make: (on) => truncateSync(on.data(on.victim.both), 100),
    scan: [["unreadable-manifest", both]],
    verify: "server-error",
    repairable: false,
  },
  {
    name: "index-link-gone",
    make: (on) => rmSync(on.revisionLink(on.victim.both)),
    scan: [["broken-tag", both]],
    verify: "missing",
    repairable: true,
  },
  {
    name: "index-data-gone",
    make: (on) => rmSync(on.data(on.victim.both)),
    scan: [["broken-tag", both]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "manifests-gone",
    make: (on) => removeFolder(on.repository.manifests),
    scan: [["hidden-repository", null]],
    verify: "missing",
    repairable: false,
  },
  {
    name: "tags-gone",
    make: (on) => removeFolder(on.repository.tags),
    scan: [["hidden-repository", null]],
    verify: "missing",
    repairable: false,
  },
];

/**
 * Which tags these repositories had cannot be recovered from the bytes; to be discarded, they are turned into repositories
 * without tags.
 */
export const NAMELESS: readonly string[] = ["manifests-gone", "tags-gone"];
