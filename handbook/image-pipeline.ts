import { dirname, join } from "node:path/posix";
import { stringify } from "yaml";
import type { BuiltImage, Ci } from "../site/ci";
import { imageReference } from "../site/image";
import type { PrivateService } from "../site/registry";
import {
  hasRegistry,
  privateServices,
  type RegistrySite,
  type Site,
  serviceInstance,
  wardenImage,
} from "../site/schema";
import { type Block, code, command, type Document, GENERATED, heading, paragraph, steps } from "./document";
import { WORKSTATION } from "./places";
import { link, md, Shell, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";

const FOLDER = "pipelines";
export const IMAGE_PIPELINES = `${FOLDER}/README.md`;

/** One line a command, and no anchors. */
const YAML = { lineWidth: 0, aliasDuplicateObjects: false } as const;

/** An image, and the service it is pushed to. */
interface Target {
  readonly image: BuiltImage;
  readonly service: PrivateService;
}

const targetsOf = ({ ci, registry }: Site): Target[] =>
  (ci?.images ?? []).flatMap((image) =>
    privateServices(registry)
      .filter(({ name }) => name === image.service)
      .map((service) => ({ image, service })),
  );

/** The program stands beside the Dockerfile: with nothing to install, the step fails for no reason but the image. */
const programOf = ({ image }: Target): string => join(dirname(image.dockerfile), "warden.mjs");

const nameOf = (site: Site, { image, service }: Target): string =>
  `${serviceInstance(site, service)}/${image.repository}`;

/** Verifies all that one build has pushed. @param commit what gives the tag of the commit in the shell of the CI */
const verifyAll = (site: Site, target: Target, commit: Shell): Shell => {
  const tags = [commit, ...target.image.tags].map((tag) => sh`--tag ${tag}`);
  return sh`node ${programOf(target)} verify ${nameOf(site, target)} ${tags}`;
};

/**
 * Woodpecker's pipeline of one image: builds and pushes it, then verifies what the registry serves of it.
 *
 * https://woodpecker-ci.org/docs/usage/workflow-syntax
 */
const pipeline = (site: RegistrySite, { buildPlugin, secrets }: Ci, target: Target): object => {
  const { branch, dockerfile, tags, commitCharacters } = target.image;
  const username = { from_secret: secrets.username };
  const password = { from_secret: secrets.password };
  // Woodpecker puts the commit in before a plugin or a shell sees it.
  const commit = `\${CI_COMMIT_SHA:0:${commitCharacters}}`;
  return {
    when: [
      { event: "push", branch, path: dockerfile },
      { event: "manual", branch },
    ],
    steps: [
      ...(buildPlugin === undefined
        ? []
        : [
            {
              name: "build",
              image: imageReference(buildPlugin),
              settings: {
                registry: serviceInstance(site, target.service),
                repo: nameOf(site, target),
                dockerfile,
                tags: [...tags, commit],
                username,
                password,
              },
            },
          ]),
      {
        name: "verify",
        image: imageReference(wardenImage(site)),
        environment: { REG_USER: username, REG_PASS: password },
        commands: [verifyAll(site, target, new Shell(`"${commit}"`)).text],
      },
    ],
  };
};

const pipelinePath = ({ image }: Target): string => `${FOLDER}/${image.repository.replaceAll("/", "-")}.yaml`;

/** The pipelines of the images that CI builds, by their path below docs/. */
export const imagePipelines = (site: Site): ReadonlyMap<string, string> => {
  const { ci } = site;
  if (ci === undefined || !hasRegistry(site)) return new Map();
  return new Map(
    targetsOf(site).map((target) => [
      pipelinePath(target),
      `# ${GENERATED}\n${stringify(pipeline(site, ci, target), YAML)}`,
    ]),
  );
};

/** The same step in the form of GitHub's and Forgejo's actions. */
const actionStep = (site: Site, { secrets }: Ci, target: Target): string => {
  const commit = new Shell(`"$(printf %.${target.image.commitCharacters}s "$GITHUB_SHA")"`);
  const secret = (name: string): string => `\${{ secrets['${name.replaceAll("'", "''")}'] }}`;
  const step = {
    name: "verify",
    env: { REG_USER: secret(secrets.username), REG_PASS: secret(secrets.password) },
    run: verifyAll(site, target, commit).text,
  };
  return stringify([step], YAML);
};

const imageSection = (site: Site, ci: Ci, target: Target): Block[] => [
  heading(md`${target.image.repository}`),
  paragraph(md`In the repository that holds ${target.image.dockerfile}:`),
  steps(
    md`Put the program beside the Dockerfile, as ${programOf(target)}: one file that needs Node and nothing else.`,
    md`Put ${link(md`the pipeline`, pipelinePath(target))} into ${".woodpecker/"}. It runs on a push to ${target.image.branch} that changes ${target.image.dockerfile}, and when it is started by hand, which is the event ${"manual"}.`,
    ...(ci.buildPlugin === undefined
      ? [
          md`Add your own step that builds and pushes before the one that verifies, and give the CI the secrets ${[ci.secrets.username, ci.secrets.password]}.`,
        ]
      : [
          md`Give the CI the secrets ${[ci.secrets.username, ci.secrets.password]}, and trust ${imageReference(ci.buildPlugin)} to run privileged (${"WOODPECKER_PLUGINS_PRIVILEGED"}).`,
        ]),
  ),
  paragraph(md`With GitHub's or Forgejo's actions, this is the step after the push:`),
  code("yaml", actionStep(site, ci, target).trimEnd()),
];

/** How CI builds, pushes and verifies images; undefined where it builds none. */
export const imagePipelinesPage = (site: Site): Document | undefined => {
  const { ci } = site;
  if (ci === undefined) return undefined;
  return {
    path: IMAGE_PIPELINES,
    title: md`Images that CI builds: build, push, verify`,
    body: [
      paragraph(
        md`A push that the registry took is no image that can be pulled. So the last step asks for all that was pushed, the index, its children, their configurations and every layer, and fails when one of them cannot be fetched. What to do then: ${link(md`An image cannot be pulled`, REBUILD)}.`,
      ),
      paragraph(md`The program, after each update of this checkout:`),
      command(WORKSTATION, sh`npm run -s build && ls dist/warden.mjs`, { expected: "dist/warden.mjs" }),
      ...targetsOf(site).flatMap((target) => imageSection(site, ci, target)),
    ],
  };
};
