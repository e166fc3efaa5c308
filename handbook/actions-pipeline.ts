import type { Ci } from "../site/ci";
import { type RegistrySite, type Site, serviceInstance } from "../site/schema";
import { type ImagePush, pushedName, verifyAll } from "./image-push";
import { Shell, sh } from "./prose";

/** The default runner label. */
const RUNNERS = { github: "ubuntu-24.04", forgejo: "docker" } as const;

/** Updated by Renovate, because the tag is a complete version. */
const CHECKOUT = "actions/checkout@v4.2.2";

const secret = (name: string): string => `\${{ secrets['${name.replaceAll("'", "''")}'] }}`;

const account = ({ secrets }: Ci) => ({ REG_USER: secret(secrets.username), REG_PASS: secret(secrets.password) });

/** The tag of the commit, as shell text in a step. */
const commitOf = ({ image }: ImagePush): Shell => new Shell(`"$(printf %.${image.commitCharacters}s "$GITHUB_SHA")"`);

/** The step that verifies what was pushed, using actions of GitHub and of Forgejo. */
export const verifyStep = (site: Site, ci: Ci, target: ImagePush) => ({
  name: "verify",
  env: account(ci),
  run: verifyAll(site, target, commitOf(target)).text,
});

/** Builds with the runner's docker: nothing except checkout is third-party. */
const buildStep = (site: Site, ci: Ci, target: ImagePush) => {
  const { dockerfile, tags } = target.image;
  const name = pushedName(site, target);
  const tagged = [...tags.map((tag) => sh`${`${name}:${tag}`}`), sh`${name}:"$commit"`];
  return {
    name: "build and push",
    env: account(ci),
    run: [
      `commit=${commitOf(target).text}`,
      sh`printf %s "$REG_PASS" | docker login --username "$REG_USER" --password-stdin ${serviceInstance(site, target.service)}`
        .text,
      sh`docker build --file ${dockerfile} ${tagged.map((tag) => sh`--tag ${tag}`)} .`.text,
      ...tagged.map((tag) => sh`docker push ${tag}`.text),
      "",
    ].join("\n"),
  };
};

/**
 * The workflow of one image: builds and pushes it, then verifies what the registry serves. The runner must have docker, git and
 * Node.
 *
 * https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax,
 * https://forgejo.org/docs/latest/user/actions/
 */
export const workflow = (site: RegistrySite, ci: Ci, target: ImagePush): object => {
  const { branch, dockerfile, repository } = target.image;
  const runner = ci.runner ?? (ci.system === "forgejo" ? RUNNERS.forgejo : RUNNERS.github);
  return {
    name: repository,
    on: { push: { branches: [branch], paths: [dockerfile] }, workflow_dispatch: {} },
    permissions: { contents: "read" },
    jobs: {
      image: {
        "runs-on": runner,
        steps: [{ uses: CHECKOUT }, buildStep(site, ci, target), verifyStep(site, ci, target)],
      },
    },
  };
};
