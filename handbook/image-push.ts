import { dirname, join } from "node:path/posix";
import type { BuiltImage, Ci } from "../site/ci";
import type { PrivateService } from "../site/registry";
import { privateServices, type Site, serviceInstance } from "../site/schema";
import { authorityOf } from "./authority";
import { type Shell, sh } from "./prose";

/** An image, and the service to which it is pushed. */
export interface ImagePush {
  readonly image: BuiltImage;
  readonly service: PrivateService;
}

export const imagePushesOf = ({ ci, registry }: Site): ImagePush[] =>
  (ci?.images ?? []).flatMap((image) =>
    privateServices(registry)
      .filter(({ name }) => name === image.service)
      .map((service) => ({ image, service })),
  );

/** The program is next to the Dockerfile: without an installation, the step can only fail because of the image. */
export const programInPipeline = ({ image }: ImagePush): string => join(dirname(image.dockerfile), "warden.mjs");

/** The image name that clients use, without a tag. */
export const pushedName = (site: Site, { image, service }: ImagePush): string =>
  `${serviceInstance(site, service)}/${image.repository}`;

/** The file with the registry's private CA, next to the program; undefined for a publicly trusted one. */
export const authorityInPipeline = (site: Site, { image, service }: ImagePush): string | undefined =>
  authorityOf(site, service) === undefined ? undefined : join(dirname(image.dockerfile), "ca.pem");

/** Verifies everything that a build pushed. @param commit shell text that yields the tag of the commit */
export const verifyAll = (site: Site, target: ImagePush, commit: Shell): Shell => {
  const tags = [commit, ...target.image.tags].map((tag) => sh`--tag ${tag}`);
  const authority = authorityInPipeline(site, target);
  const options = [...tags, ...(authority === undefined ? [] : [sh`--ca-file ${authority}`])];
  return sh`node ${programInPipeline(target)} verify ${pushedName(site, target)} ${options}`;
};

/** The CI's name, where its pipelines are, and how to start one by hand. */
export const SYSTEMS: Readonly<
  Record<Ci["system"], { readonly title: string; readonly folder: string; readonly byHand: string }>
> = {
  woodpecker: { title: "Woodpecker", folder: ".woodpecker/", byHand: "Run pipeline" },
  github: { title: "GitHub Actions", folder: ".github/workflows/", byHand: "Run workflow" },
  forgejo: { title: "Forgejo Actions", folder: ".forgejo/workflows/", byHand: "Run workflow" },
};
