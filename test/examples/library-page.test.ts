import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mainOf } from "./library-page";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "library-page-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Resolves a module as in an app that has the package installed. */
const resolved = (name: string): string =>
  name.startsWith("registry-warden/") ? join(root, name.replace("registry-warden/", "")) : require.resolve(name);

test("the app of the page synthesises a probe, its alerts after it, and the dashboard", () => {
  const file = join(folder, "main.ts");
  writeFileSync(
    file,
    mainOf(readFileSync(join(root, "docs/library.md"), "utf8")).replace(
      / from "(.+)";$/gm,
      (_, name: string) => ` from ${JSON.stringify(resolved(name))};`,
    ),
  );
  process.env.CDKTF_OUTDIR = join(folder, "cdktf.out");
  require(file);
  const { resource } = JSON.parse(
    readFileSync(join(folder, "cdktf.out/stacks/registry-integrity/cdk.tf.json"), "utf8"),
  );
  const { kubernetes_cron_job_v1: jobs, kubernetes_config_map_v1: maps, helm_release: releases } = resource;
  expect(Object.keys(maps)).toHaveLength(2);
  const [[name, job]] = Object.entries<{ metadata: { name: string } }>(jobs) as [[string, never]];
  expect(job).toMatchObject({ metadata: { name: "forge-probe", namespace: "monitoring" } });
  expect(Object.values(releases)).toMatchObject([{ depends_on: [`kubernetes_cron_job_v1.${name}`] }]);
  expect(resource.terraform_data).toMatchObject({});
});
