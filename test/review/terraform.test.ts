import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTerraform, placeholders, planCounts, planStack, terraformEnvironment } from "../../review/terraform";

const directory = mkdtempSync(join(tmpdir(), "terraform-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A stand-in that prints and exits as told, to produce each outcome without a provider. */
const standIn = (name: string, script: string): string => {
  const file = join(directory, name, "terraform");
  mkdirSync(join(directory, name));
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
};

const PROVIDER_ERROR = `╷
│ Error: Failed to query available provider packages
│
│ Could not retrieve the list of available versions for provider
│ hashicorp/helm: could not connect to registry.terraform.io
╵`;

describe("the counts of a plan", () => {
  test.each([
    ["Plan: 3 to add, 1 to change, 2 to destroy.", { add: 3, change: 1, destroy: 2, import: 0 }],
    ["Plan: 1 to import, 3 to add, 0 to change, 0 to destroy.", { add: 3, change: 0, destroy: 0, import: 1 }],
    ["No changes. Your infrastructure matches the configuration.", { add: 0, change: 0, destroy: 0, import: 0 }],
    ["Changes to Outputs:\n  + x = 1", { add: 0, change: 0, destroy: 0, import: 0 }],
  ])("%s", (text, counts) => expect(planCounts(`before\n\n${text}\n`)).toEqual(counts));
});

describe("a variable without a value", () => {
  const stack = (name: string, variable: object): string => {
    const folder = join(directory, name);
    mkdirSync(folder);
    writeFileSync(join(folder, "cdk.tf.json"), JSON.stringify({ variable }));
    return folder;
  };

  test("gets one for the plan where no plan keeps it, and only there", () => {
    const folder = stack("variables", {
      asked: { ephemeral: true, type: "string" },
      given: { ephemeral: true, type: "string" },
      optional: { ephemeral: true, type: "string", default: "" },
      kept: { type: "string" },
    });
    expect(Object.keys(placeholders(folder, { TF_VAR_given: "x" }))).toEqual(["TF_VAR_asked"]);
    expect(placeholders("/nonexistent")).toEqual({});
  });

  test("reaches terraform, and never in place of the operator's own", async () => {
    const folder = stack("reached", { asked: { ephemeral: true }, given: { ephemeral: true } });
    const terraform = standIn("asking", '[ "$TF_VAR_given" = own ] && echo "Plan: ${#TF_VAR_asked} to add."');
    process.env.TF_VAR_given = "own";
    try {
      const outcome = await planStack(terraform, folder);
      expect(outcome.kind === "planned" && outcome.counts.add).toBeGreaterThan(0);
    } finally {
      delete process.env.TF_VAR_given;
    }
  });
});

describe("a stack is", () => {
  test("planned", async () => {
    const terraform = standIn("planned", 'echo "Plan: 2 to add, 0 to change, 0 to destroy."');
    expect(await planStack(terraform, directory)).toMatchObject({ kind: "planned", counts: { add: 2 } });
  });

  test("unavailable, where a provider cannot be had", async () => {
    const terraform = standIn("unavailable", `cat >&2 <<'E'\n${PROVIDER_ERROR}\nE\nexit 1`);
    expect(await planStack(terraform, directory)).toMatchObject({
      kind: "unavailable",
      reason: expect.stringContaining("hashicorp/helm"),
    });
  });

  test("failed, where init fails for another reason", async () => {
    const terraform = standIn("init", "echo 'Error: Backend configuration changed' >&2; exit 1");
    expect(await planStack(terraform, directory)).toMatchObject({
      kind: "failed",
      reason: "Backend configuration changed",
    });
  });

  test("failed, where the plan fails", async () => {
    const terraform = standIn("plan", "[ $1 = init ] && exit 0; echo 'Error: Invalid value' >&2; exit 1");
    expect(await planStack(terraform, directory)).toMatchObject({ kind: "failed", reason: "Invalid value" });
  });
});

test("terraform is found before tofu, tofu where there is nothing else", () => {
  const terraform = join(directory, "a");
  const tofu = join(directory, "b");
  mkdirSync(terraform);
  mkdirSync(tofu);
  writeFileSync(join(terraform, "terraform"), "");
  writeFileSync(join(tofu, "tofu"), "");
  expect(findTerraform(`${tofu}:${terraform}`)).toBe(join(terraform, "terraform"));
  expect(findTerraform(tofu)).toBe(join(tofu, "tofu"));
  expect(findTerraform("/nonexistent")).toBeUndefined();
});

test("a configuration file that does not exist is not named to terraform", () => {
  expect(terraformEnvironment({ TF_CLI_CONFIG_FILE: "/nonexistent" })).not.toHaveProperty("TF_CLI_CONFIG_FILE");
  expect(terraformEnvironment({ TF_CLI_CONFIG_FILE: __filename })).toHaveProperty("TF_CLI_CONFIG_FILE", __filename);
  expect(terraformEnvironment({ TF_CLI_ARGS: "-destroy" })).not.toHaveProperty("TF_CLI_ARGS");
});
