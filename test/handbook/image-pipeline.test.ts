import { execFileSync } from "node:child_process";
import { parse } from "yaml";
import { GENERATED_PAGE } from "../../handbook/document";
import { IMAGE_PIPELINES, imagePipelines, imagePipelinesPage } from "../../handbook/image-pipeline";
import { parsed, reference, referenceSite, small, type WholeInput } from "../sites";

const pipelinesOf = (site: WholeInput): ReadonlyMap<string, string> => imagePipelines(parsed(site));
const [image] = reference.ci?.images ?? [];
if (reference.ci === undefined || image === undefined)
  throw new Error("the reference site has no image that CI builds");
const { ci } = reference;

const pipeline = parse(pipelinesOf(reference).get("pipelines/infra-ci.yaml") ?? "");
const [build, verify] = pipeline.steps;

test("each image has a pipeline, which says that it is generated", () => {
  const twice: WholeInput = { ...reference, ci: { ...ci, images: [image, { ...image, repository: "team/tools" }] } };
  expect([...pipelinesOf(twice).keys()]).toEqual(["pipelines/infra-ci.yaml", "pipelines/team-tools.yaml"]);
  for (const text of pipelinesOf(twice).values()) expect(text.startsWith(`# ${GENERATED_PAGE}\n`)).toBe(true);
});

test("a site whose CI builds nothing has neither pipeline nor page", () => {
  expect([pipelinesOf(small).size, imagePipelinesPage(parsed(small))]).toEqual([0, undefined]);
});

test("it runs on a push that touches the Dockerfile, and when it is started by hand", () => {
  expect(pipeline.when).toEqual([
    { event: "push", branch: image.branch, path: image.dockerfile },
    { event: "manual", branch: image.branch },
  ]);
});

test("it builds and pushes the moving tags and that of the commit, with the CI's secrets", () => {
  expect(build.settings).toEqual({
    registry: "registry.viktorbarzin.me:5050",
    repo: "registry.viktorbarzin.me:5050/infra-ci",
    dockerfile: "ci/Dockerfile",
    tags: ["latest", "${CI_COMMIT_SHA:0:8}"],
    username: { from_secret: "registry_user" },
    password: { from_secret: "registry_password" },
  });
});

test("its last step verifies every tag that was pushed, and nothing lets it pass when that fails", () => {
  expect(pipeline.steps).toHaveLength(2);
  expect(verify.commands).toEqual([
    'node ci/warden.mjs verify registry.viktorbarzin.me:5050/infra-ci --tag "${CI_COMMIT_SHA:0:8}" --tag latest',
  ]);
  expect(verify.environment).toEqual({
    REG_USER: { from_secret: "registry_user" },
    REG_PASS: { from_secret: "registry_password" },
  });
  expect(Object.keys(verify).sort()).toEqual(["commands", "environment", "image", "name"]);
});

test("without a plugin that builds it only verifies, and the page says what comes before", () => {
  const { buildPlugin: _, ...own } = ci;
  const site: WholeInput = { ...reference, ci: own };
  const { steps } = parse(pipelinesOf(site).get("pipelines/infra-ci.yaml") ?? "");
  expect(steps).toEqual([verify]);
  expect(JSON.stringify(imagePipelinesPage(parsed(site)))).toContain("Add your own step that builds and pushes");
});

test("no image of a step floats", () => {
  for (const step of pipeline.steps) expect(step.image).toMatch(/:\d+\.\d+\.\d+/);
});

test("the page has the same as a step of GitHub's and Forgejo's actions", () => {
  const page = imagePipelinesPage(referenceSite);
  const [step] = (page?.body ?? []).flatMap((block) => (block.kind === "code" ? parse(block.text) : []));
  expect(page?.path).toBe(IMAGE_PIPELINES);
  expect(step.env).toEqual({
    REG_USER: "${{ secrets['registry_user'] }}",
    REG_PASS: "${{ secrets['registry_password'] }}",
  });
  // As the action's shell reads it, with a stand-in for node that prints its arguments.
  const given = execFileSync("sh", ["-c", `node() { printf '%s\\n' "$@"; }\n${step.run}`], {
    encoding: "utf8",
    env: { GITHUB_SHA: "0123456789abcdef0123456789abcdef01234567" },
  });
  const name = "registry.viktorbarzin.me:5050/infra-ci";
  expect(given.trim().split("\n")).toEqual(["ci/warden.mjs", "verify", name, "--tag", "01234567", "--tag", "latest"]);
});
