import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { imagePipelines, imagePipelinesPage } from "../../handbook/image-pipeline";
import { parsed, reference, type WholeInput } from "../sites";

const [image] = reference.ci.images;
if (image === undefined) throw new Error("the reference site has no image that CI builds");

const siteOf = (system: "github" | "forgejo", more: object = {}): WholeInput => {
  const { buildPlugin: _, ...ci } = reference.ci;
  return { ...reference, ci: { ...ci, system, ...more } };
};
const workflowOf = (site: WholeInput) => parse(imagePipelines(parsed(site)).get("pipelines/infra-ci.yaml") ?? "");

describe.each([
  ["github", "ubuntu-24.04"],
  ["forgejo", "docker"],
] as const)("a workflow of %s", (system, runner) => {
  const workflow = workflowOf(siteOf(system));
  const [checkout, build, verify] = workflow.jobs.image.steps;

  test("runs on a push that touches the Dockerfile, and when it is started by hand", () => {
    expect(workflow.on).toEqual({
      push: { branches: [image.branch], paths: [image.dockerfile] },
      workflow_dispatch: {},
    });
    expect(workflow.jobs.image["runs-on"]).toBe(runner);
    expect(workflow.permissions).toEqual({ contents: "read" });
  });

  test("uses one action, by a complete version", () => {
    expect(checkout).toEqual({ uses: expect.stringMatching(/^actions\/checkout@v\d+\.\d+\.\d+$/) });
  });

  test("builds, pushes and verifies every tag, and no argument holds the password", () => {
    const folder = mkdtempSync(join(tmpdir(), "actions-"));
    try {
      const said = join(folder, "said");
      // Stand-ins for docker and node record the arguments that they get from the steps, as the runner's shell reads
      // them.
      const stub = (name: string) => `${name}() { cat >>'${said}'; printf '%s\\n' "${name} $*" >>'${said}'; }`;
      writeFileSync(said, "");
      execFileSync(
        "bash",
        ["-euo", "pipefail", "-c", `${stub("docker")}\n${stub("node")}\n${build.run}\n${verify.run}`],
        {
          env: {
            ...process.env,
            REG_USER: "ci",
            REG_PASS: "p$w\"'",
            GITHUB_SHA: "0123456789abcdef0123456789abcdef01234567",
          },
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      const name = "registry.viktorbarzin.me:5050/infra-ci";
      expect(readFileSync(said, "utf8").split("\n")).toEqual([
        `p$w"'docker login --username ci --password-stdin registry.viktorbarzin.me:5050`,
        `docker build --file ci/Dockerfile --tag ${name}:latest --tag ${name}:01234567 .`,
        `docker push ${name}:latest`,
        `docker push ${name}:01234567`,
        `node ci/warden.mjs verify ${name} --tag 01234567 --tag latest`,
        "",
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(build.env).toEqual(verify.env);
    expect(verify.env).toEqual({
      REG_USER: "${{ secrets['registry_user'] }}",
      REG_PASS: "${{ secrets['registry_password'] }}",
    });
  });

  test("runs where the site says", () => {
    expect(workflowOf(siteOf(system, { runner: "own" })).jobs.image["runs-on"]).toBe("own");
  });

  test("is put where the system looks for it, and no other system is named", () => {
    const page = JSON.stringify(imagePipelinesPage(parsed(siteOf(system))));
    expect(page).toContain(`.${system}/workflows/`);
    expect(page).not.toMatch(new RegExp(`woodpecker|${system === "github" ? "forgejo" : "github"}`, "i"));
  });
});
