import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import { type Failure, failureAt } from "../oci/failure";
import type { RegistryWriter } from "../oci/push";
import { type DeletedImage, deletedImages, type LoggedPush } from "./deleted";
import type { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";
import { walked } from "./repair";
import { applyRepair, type FailedAction } from "./repair-apply";
import { planRepair, type RepairStep, tagStep } from "./repair-plan";

/** What to restore: everything in a repository, or one image, optionally under a given tag. */
export interface UndeleteTarget {
  repository: string;
  tag: string | null;
  digest: Digest | null;
}

export interface UndeleteReport {
  /** The registry's origin. */
  registry: string;
  root: string;
  images: UndeletedImage[];
  applied: boolean;
  /** Steps that failed; empty without `applied`. */
  problems: FailedAction[];
  /** What is still broken in these images afterwards; empty without `applied`. */
  remaining: Failure[];
}

export interface UndeletedImage extends DeletedImage {
  /** The tags that are restored: those that the repository no longer has. */
  restoredTags: string[];
}

export interface UndeleteOptions {
  storage: StoreReader;
  /** @default everything that can be restored */
  targets: readonly UndeleteTarget[];
  /** From the registry's log. */
  pushes: readonly LoggedPush[];
  /** Applies the plan; null to plan only. */
  writer: RegistryWriter | null;
}

/**
 * Restores images that were deleted through the API, by digest and by tag. Everything goes through the registry itself, which
 * verifies its digest; a tag that exists again is not moved. Afterwards the images are verified.
 *
 * @throws StorageRefusal `not-found` if a target cannot be restored
 */
export const undelete = async (client: RegistryClient, options: UndeleteOptions): Promise<UndeleteReport> => {
  const { storage, targets, pushes, writer } = options;
  const deleted = deletedImages(storage, pushes);
  const images =
    targets.length === 0 ? deleted.map(withTags(storage, null)) : targets.flatMap(chosenFrom(deleted, storage));
  const report = { registry: client.url.origin, root: storage.layout.root, images };
  if (writer === null) return { ...report, applied: false, problems: [], remaining: [] };
  const problems = await applyRepair(await stepsFor(images, client, storage), writer, { storage, from: null });
  const remaining: Failure[] = [];
  for (const { repository, digest, restoredTags } of images) {
    const selection =
      restoredTags.length > 0
        ? ({ kind: "named", tags: restoredTags } as const)
        : ({ kind: "named", tags: [], digests: [digest] } as const);
    const scope = { blobs: "last-byte", catalog: false, repositories: [repository], selection } as const;
    remaining.push(...(await walked(client, scope)).failures);
  }
  return { ...report, applied: true, problems, remaining };
};

const chosenFrom =
  (deleted: readonly DeletedImage[], storage: StoreReader) =>
  ({ repository, tag, digest }: UndeleteTarget): UndeletedImage[] => {
    const chosen = deleted.filter(
      (image) =>
        image.repository === repository &&
        (digest === null ? tag === null || image.tags.includes(tag) : image.digest.startsWith(digest)),
    );
    const name = `${repository}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
    if (chosen.length === 0) {
      throw new StorageRefusal(
        "not-found",
        `nothing of ${name} can be put back`,
        "leave the image out to see what can; what was collected or never pushed is not on the disk",
      );
    }
    if (tag !== null && chosen.length > 1) {
      throw new StorageRefusal(
        "not-found",
        `${name} may be ${chosen.map((each) => each.digest).join(" or ")}`,
        `give ${repository}:${tag}@DIGEST`,
      );
    }
    return chosen.map(withTags(storage, tag));
  };

/** @param named the tag to restore instead of the original ones */
const withTags =
  (storage: StoreReader, named: string | null) =>
  (image: DeletedImage): UndeletedImage => {
    const there = new Set(storage.tags(storage.layout.repository(image.repository)));
    return { ...image, restoredTags: (named === null ? image.tags : [named]).filter((tag) => !there.has(tag)) };
  };

/** Every part that is not served, each before what needs it; then the tags. */
const stepsFor = async (
  images: readonly UndeletedImage[],
  client: RegistryClient,
  storage: StoreReader,
): Promise<RepairStep[]> => {
  const lost = images.map(({ repository, digest }) =>
    failureAt(repository, { tags: [], object: "manifest", platform: null, path: [digest] }, digest, {
      reason: "missing",
      status: 404,
      detail: "deleted",
    }),
  );
  const { steps } = await planRepair(lost, client, { storage, from: null });
  const tags = images.flatMap(({ repository, digest, restoredTags }) =>
    restoredTags.map((tag) => tagStep(storage, repository, digest, tag)),
  );
  return [...steps, ...tags];
};
