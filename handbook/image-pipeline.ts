import { stringify } from "yaml";
import type { Ci } from "../site/ci";
import { imageReference } from "../site/image";
import { hasRegistry, type RegistrySite, type Site, serviceInstance, wardenImage } from "../site/schema";
import { verifyStep, workflow } from "./actions-pipeline";
import { type Block, code, command, type Document, GENERATED_PAGE, heading, paragraph, steps } from "./document";
import {
  authorityInPipeline,
  type ImagePush,
  imagePushesOf,
  programInPipeline,
  pushedName,
  SYSTEMS,
  verifyAll,
} from "./image-push";
import { WORKSTATION } from "./places";
import { link, md, type Prose, Shell, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";

const FOLDER = "pipelines";
export const IMAGE_PIPELINES = `${FOLDER}/README.md`;

/** One line for each command, and no anchors. */
const YAML = { lineWidth: 0, aliasDuplicateObjects: false } as const;

/**
 * Woodpecker's pipeline for one image: builds and pushes it, then verifies what the registry serves.
 *
 * https://woodpecker-ci.org/docs/usage/workflow-syntax
 */
const woodpeckerPipeline = (site: RegistrySite, { buildPlugin, secrets }: Ci, target: ImagePush): object => {
  const { branch, dockerfile, tags, commitCharacters } = target.image;
  const username = { from_secret: secrets.username };
  const password = { from_secret: secrets.password };
  // Woodpecker substitutes the commit before a plugin or a shell sees it.
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
                repo: pushedName(site, target),
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

const pipelinePath = ({ image }: ImagePush): string => `${FOLDER}/${image.repository.replaceAll("/", "-")}.yaml`;

/** The pipelines of the images that CI builds, by their path below docs/. */
export const imagePipelines = (site: Site): ReadonlyMap<string, string> => {
  const { ci } = site;
  if (ci === undefined || !hasRegistry(site)) return new Map();
  return new Map(
    imagePushesOf(site).map((target) => [
      pipelinePath(target),
      `# ${GENERATED_PAGE}\n${stringify((ci.system === "woodpecker" ? woodpeckerPipeline : workflow)(site, ci, target), YAML)}`,
    ]),
  );
};

const atWoodpecker = (ci: Ci): Prose =>
  ci.buildPlugin === undefined
    ? md`Add your own step that builds and pushes before the one that verifies, and give the CI the secrets ${[ci.secrets.username, ci.secrets.password]}.`
    : md`Give the CI the secrets ${[ci.secrets.username, ci.secrets.password]}, and trust ${imageReference(ci.buildPlugin)} to run privileged (${"WOODPECKER_PLUGINS_PRIVILEGED"}).`;

const imageSection = (site: Site, ci: Ci, target: ImagePush): Block[] => {
  const { folder, byHand } = SYSTEMS[ci.system];
  const woodpecker = ci.system === "woodpecker";
  const authority = authorityInPipeline(site, target);
  return [
    heading(md`${target.image.repository}`),
    paragraph(md`In the repository that holds ${target.image.dockerfile}:`),
    steps(
      md`Put the program beside the Dockerfile, as ${programInPipeline(target)}: one file that needs Node and nothing else.`,
      ...(authority === undefined
        ? []
        : [
            md`Put the certificate of the registry's CA there too, as ${authority}. The runner's Docker reads it from ${`/etc/docker/certs.d/${serviceInstance(site, target.service)}/ca.crt`}.`,
          ]),
      md`Put ${link(md`the pipeline`, pipelinePath(target))} into ${folder}. It runs on a push to ${target.image.branch} that changes ${target.image.dockerfile}, and when it is started by hand${woodpecker ? md`, which is the event ${"manual"}` : md`: ${byHand}`}.`,
      woodpecker
        ? atWoodpecker(ci)
        : md`Give the repository the secrets ${[ci.secrets.username, ci.secrets.password]}. The runner needs docker, git and Node.`,
    ),
    ...(woodpecker
      ? [
          paragraph(md`With GitHub's or Forgejo's actions, this is the step after the push:`),
          code("yaml", stringify([verifyStep(site, ci, target)], YAML).trimEnd()),
        ]
      : []),
  ];
};

/** How CI builds, pushes and verifies images; undefined if it builds none. */
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
      ...imagePushesOf(site).flatMap((target) => imageSection(site, ci, target)),
    ],
  };
};
