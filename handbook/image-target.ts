import { dirname, join } from "node:path/posix";
import type { BuiltImage, Ci } from "../site/ci";
import type { PrivateService } from "../site/registry";
import { privateServices, type Site, serviceInstance } from "../site/schema";
import { authorityOf } from "./authority";
import { type Shell, sh } from "./prose";

/** An image, and the service it is pushed to. */
export interface Target {
  readonly image: BuiltImage;
  readonly service: PrivateService;
}

export const targetsOf = ({ ci, registry }: Site): Target[] =>
  (ci?.images ?? []).flatMap((image) =>
    privateServices(registry)
      .filter(({ name }) => name === image.service)
      .map((service) => ({ image, service })),
  );

/** The program is beside the Dockerfile: with nothing to install, the step fails for no reason but the image. */
export const programOf = ({ image }: Target): string => join(dirname(image.dockerfile), "warden.mjs");

/** The image as clients name it, without a tag. */
export const nameOf = (site: Site, { image, service }: Target): string =>
  `${serviceInstance(site, service)}/${image.repository}`;

/** The file with the private CA of the registry, beside the program; undefined where everybody trusts it. */
export const authorityInPipeline = (site: Site, { image, service }: Target): string | undefined =>
  authorityOf(site, service) === undefined ? undefined : join(dirname(image.dockerfile), "ca.pem");

/** Verifies all that one build has pushed. @param commit what gives the tag of the commit in the shell of the CI */
export const verifyAll = (site: Site, target: Target, commit: Shell): Shell => {
  const tags = [commit, ...target.image.tags].map((tag) => sh`--tag ${tag}`);
  const authority = authorityInPipeline(site, target);
  const options = [...tags, ...(authority === undefined ? [] : [sh`--ca-file ${authority}`])];
  return sh`node ${programOf(target)} verify ${nameOf(site, target)} ${options}`;
};

/** What an operator calls the CI, where its pipelines are, and how one is started by hand. */
export const SYSTEMS: Readonly<
  Record<Ci["system"], { readonly title: string; readonly folder: string; readonly byHand: string }>
> = {
  woodpecker: { title: "Woodpecker", folder: ".woodpecker/", byHand: "Run pipeline" },
  github: { title: "GitHub Actions", folder: ".github/workflows/", byHand: "Run workflow" },
  forgejo: { title: "Forgejo Actions", folder: ".forgejo/workflows/", byHand: "Run workflow" },
};
