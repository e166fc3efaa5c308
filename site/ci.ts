import * as z from "zod";
import { count, label, line, matching, oneOf, record } from "./fields";
import { pinnedImage } from "./image";
import { type FieldError, rule } from "./rule";

const RELATIVE_PATH = 'a path within the repository, for example "ci/Dockerfile"';
const BRANCH = 'the name of a branch, for example "main"';
const REPOSITORY = 'a repository of the registry, without host and tag, for example "tools/builder"';
const TAG = 'a tag, for example "latest"';

/** An image that the operator's CI builds, pushes and verifies. */
const builtImage = record({
  /** The service of registry.services to which it is pushed. */
  service: label,
  repository: matching(/^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/, REPOSITORY),
  /** Moving tags, pushed with every build. */
  tags: z.array(matching(/^\w[\w.-]{0,127}$/, TAG), { error: "allowed is a list of tags" }),
  /** The leading characters of the commit hash become a tag too, so that each build can be named. */
  commitCharacters: count(7, 40),
  dockerfile: matching(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))[\w.-]+(\/[\w.-]+)*$/, RELATIVE_PATH),
  branch: matching(/^(?!.*(\.\.|\/\/))[A-Za-z0-9_][\w./-]*$/, BRANCH),
});

/** The pipelines that use the registries; the documents describe how to rebuild an image. */
const fields = record({
  system: oneOf(["github", "forgejo", "woodpecker"]),
  /**
   * The Woodpecker plugin that builds and pushes. The CI runs it privileged, so Woodpecker must trust it by name and version.
   * Without it, the pipeline only verifies, and the operator runs a build of their own before it.
   */
  buildPlugin: pinnedImage.optional(),
  /** The label of the runners that build, on GitHub and Forgejo. Default: "ubuntu-24.04" on GitHub, "docker" on Forgejo. */
  runner: line.optional(),
  /** Names of the CI secrets that hold the registry account; never the values. */
  secrets: record({ username: line, password: line }),
  images: z.array(builtImage, { error: "allowed is a list of images" }).min(1, {
    error: "allowed is at least one image: leave ci out where there is none",
  }),
});

const partsOfTheSystem = rule(
  fields,
  ["system", "buildPlugin?", "runner?"],
  ({ system, buildPlugin, runner }): FieldError[] => [
    ...(system !== "woodpecker" && buildPlugin !== undefined
      ? [
          {
            path: ["buildPlugin"],
            message: `a plugin is Woodpecker's; allowed at ${JSON.stringify(system)} is to leave it out: its runner builds with docker`,
          },
        ]
      : []),
    ...(system === "woodpecker" && runner !== undefined
      ? [{ path: ["runner"], message: 'the label of a runner; allowed at "woodpecker" is to leave it out' }]
      : []),
  ],
);

export const ci = fields.check(partsOfTheSystem);

export type Ci = z.output<typeof ci>;
export type BuiltImage = Ci["images"][number];
