import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import type { AskedImage, ImageState } from "../oci/images";
import { type WalkOptions, walk } from "../oci/walk";
import type { UsedImage } from "./workloads";

/** An image that workloads need, and its state in the registry. */
export interface VerifiedImage extends UsedImage {
  /** The worse of the states of the requested and the running image. */
  state: ImageState;
  /** The tag's current target; null if a digest is requested, or the tag leads nowhere. */
  now: Digest | null;
  /** Whether the running image is neither the tag's current target nor a part of it. */
  moved: boolean;
}

/** Worst first: certain states before uncertain ones. */
export const SEVERITY: readonly ImageState[] = ["missing", "broken", "unknown", "intact"];

/** How they are checked; as in any other walk. */
export type WorkloadCheck = Pick<WalkOptions, "role" | "blobs" | "platforms" | "credentialsGiven" | "signal">;

/** The results of the requests to a registry, by repository. */
class Answers {
  readonly #repositories = new Map<string, readonly AskedImage[]>();

  take(repository: string, images: readonly AskedImage[]): void {
    this.#repositories.set(repository, images);
  }

  tag(repository: string, tag: string): AskedImage | undefined {
    return this.#repositories.get(repository)?.find(({ tags }) => tags.includes(tag));
  }

  digest(repository: string, digest: Digest): AskedImage | undefined {
    return this.#repositories.get(repository)?.find((image) => image.digest === digest);
  }
}

/**
 * Verifies images that workloads need: both the requested image and the running one, even if its tag has moved.
 *
 * @throws RegistryError when the registry as a whole is unavailable
 */
export const verifyImages = async (
  client: RegistryClient,
  images: readonly UsedImage[],
  check: WorkloadCheck,
): Promise<VerifiedImage[]> => {
  if (images.length === 0) return [];
  const answers = new Answers();
  const repositories = byRepository(images);
  await walk(client, {
    ...check,
    catalog: false,
    repositories: [...repositories.keys()],
    selection: (repository) => {
      const wanted = repositories.get(repository) ?? [];
      return {
        kind: "named",
        tags: wanted.flatMap(({ tag }) => tag ?? []),
        digests: wanted.flatMap(({ digest, running }) => [digest, running].filter((each) => each !== null)),
      };
    },
    onImages: (repository, asked) => answers.take(repository, asked),
  });
  return images.map((image) => judged(image, answers));
};

const byRepository = (images: readonly UsedImage[]): Map<string, UsedImage[]> => {
  const found = new Map<string, UsedImage[]>();
  for (const image of images) found.set(image.repository, [...(found.get(image.repository) ?? []), image]);
  return found;
};

const judged = (image: UsedImage, answers: Answers): VerifiedImage => {
  const { repository, tag, digest, running } = image;
  const tagged = tag === null ? undefined : answers.tag(repository, tag);
  const asked = [
    ...(tag === null ? [] : [tagged]),
    ...(digest === null ? [] : [answers.digest(repository, digest)]),
    ...(running === null ? [] : [answers.digest(repository, running)]),
  ];
  const states = asked.map((each) => each?.state ?? "unknown");
  const now = tagged?.digest ?? null;
  return {
    ...image,
    state: SEVERITY.find((state) => states.includes(state)) ?? "unknown",
    now,
    moved:
      now !== null &&
      running !== null &&
      now !== running &&
      tagged !== undefined &&
      !tagged.manifests.includes(running),
  };
};

/** Images that were not verified, because the registry was unavailable. */
export const unverified = (images: readonly UsedImage[]): VerifiedImage[] =>
  images.map((image) => ({ ...image, state: "unknown", now: null, moved: false }));

/** How many images are in each state. */
export const countStates = (images: readonly VerifiedImage[]): Record<ImageState, number> => {
  const counts = { intact: 0, broken: 0, missing: 0, unknown: 0 } satisfies Record<ImageState, number>;
  for (const { state } of images) counts[state]++;
  return counts;
};

/** The digests that a registry must not lose: the running images, and those that the next start would pull. Sorted. */
export const digestsOf = (images: readonly VerifiedImage[]): Digest[] => {
  const all = images.flatMap(({ digest, running, imageId, now }) => [digest, running, imageId, now]);
  return [...new Set(all)].filter((digest) => digest !== null).sort();
};
