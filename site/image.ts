import * as z from "zod";
import { record } from "./fields";

const REPOSITORY = 'a repository without tag, for example "registry" or "joxit/docker-registry-ui"';
const DIGEST = 'a digest, "sha256:" and 64 hexadecimal digits';
const TAG = 'a tag that holds a complete version, for example "2.8.3" or "26.9.0-slim"';

/** Three numbers: "2.8" and "alpine" move with every release, "2.8.3" does not. */
export const completeVersion = /(^|[^0-9])\d+[.-]\d+[.-]\d+/;

/**
 * A pinned container image. A floating tag is rejected even with a digest, because people and update tools read the
 * version from the tag.
 *
 * Grammar: https://github.com/distribution/reference (repository, tag and digest)
 */
export const pinnedImage = record({
  repository: z
    .string({ error: `allowed is ${REPOSITORY}` })
    .regex(/^([a-z0-9.-]+(:\d+)?\/)?[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/, {
      error: `allowed is ${REPOSITORY}`,
    }),
  tag: z
    .string({ error: `allowed is ${TAG}` })
    .refine((tag) => /^\w[\w.-]{0,127}$/.test(tag) && completeVersion.test(tag), {
      error: `allowed is ${TAG}: a floating tag changes what runs without a change of the site`,
    }),
  digest: z
    .string({ error: `allowed is ${DIGEST}` })
    .regex(/^sha256:[0-9a-f]{64}$/, { error: `allowed is ${DIGEST}` })
    .optional(),
});

export type PinnedImage = z.output<typeof pinnedImage>;

/** `repository:tag`, followed by `@digest` if the pin has one. */
export const imageReference = ({ repository, tag, digest }: PinnedImage): string =>
  `${repository}:${tag}${digest === undefined ? "" : `@${digest}`}`;
