import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWarden, type WardenRun } from "./run-warden";

const directory = mkdtempSync(join(tmpdir(), "plan-report-"));
afterAll(() => rmSync(directory, { recursive: true }));

const environment = process.env;
beforeEach(() => {
  process.env = { ...environment, PATH: join(directory, "nothing") };
});
afterEach(() => {
  process.env = environment;
});

const recorded = (name: string): string => join(__dirname, "..", "review", "plans", `${name}.json`);

const planReport = (...args: string[]): Promise<WardenRun> => runWarden("plan-report", ...args);

/** A synthesised app of the stacks dns and registry-vm, with one file each. */
const output = (name: string, nameserver: string, more: Record<string, unknown> = {}): string => {
  const out = join(directory, name);
  const stack = (id: string, content: string) => ({
    resource: {
      terraform_data: {
        pve: { "//": { metadata: { path: `${id}/pve/Resource` } }, triggers_replace: { "/etc/resolv.conf": content } },
      },
    },
  });
  const stacks = {
    "registry-vm": stack("registry-vm", "the same\n"),
    dns: stack("dns", `nameserver ${nameserver}\n`),
    ...more,
  };
  for (const [id, json] of Object.entries(stacks)) {
    mkdirSync(join(out, "stacks", id), { recursive: true });
    writeFileSync(join(out, "stacks", id, "cdk.tf.json"), JSON.stringify(json));
  }
  const entries = Object.keys(stacks).map((id) => [
    id,
    {
      workingDirectory: `stacks/${id}`,
      synthesizedStackPath: `stacks/${id}/cdk.tf.json`,
      dependencies: id === "registry-vm" ? ["dns"] : [],
    },
  ]);
  writeFileSync(join(out, "manifest.json"), JSON.stringify({ stacks: Object.fromEntries(entries) }));
  return out;
};

/** A stand-in for Terraform that plans what was recorded. */
const terraform = (plan: string): void => {
  const bin = mkdtempSync(join(directory, "bin-"));
  writeFileSync(
    join(bin, "terraform"),
    `#!/bin/sh\n[ "$1" = show ] || exit 0\nwhile IFS= read -r line; do printf "%s\\n" "$line"; done < '${plan}'\n`,
  );
  chmodSync(join(bin, "terraform"), 0o755);
  process.env.PATH = bin;
};

test("plans from another machine, with the name of the stack from the file", async () => {
  mkdirSync(join(directory, "dns"));
  copyFileSync(recorded("dns-another-resolver"), join(directory, "dns", "plan.json"));
  copyFileSync(recorded("registry-vm-first"), join(directory, "registry-vm.json"));
  const { code, out } = await planReport(
    join(directory, "dns", "plan.json"),
    join(directory, "registry-vm.json"),
    "--commit",
    "0123456789abcdef",
    "--output",
    join(directory, "nothing"),
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^\*\*Plan: 2 to deliver again, 1 to create\*\* \(commit `0123456789ab`, plan/);
  expect(out).toContain("npm run cdktf -- deploy dns registry-vm\n");
});

test("the stacks of the output, planned, in the order of their deploy", async () => {
  terraform(recorded("dns-no-changes"));
  const { code, out } = await planReport("--output", output("planned", "192.0.2.1"));
  expect(code).toBe(0);
  expect(out).toMatch(/^\*\*No changes\*\* in dns, registry-vm \(/);
});

test("a plan with its state is not replaced by a comparison", async () => {
  terraform(recorded("dns-failed-half-way"));
  const { out } = await planReport("--output", output("planned", "192.0.2.1"), "--base", output("base", "192.0.2.2"));
  expect(out).toContain("| dns | 1 | plan |");
});

test("without a state the output is compared with that of the merge base, and that is said", async () => {
  terraform(recorded("dns-first"));
  const { code, out } = await planReport(
    "--output",
    output("head", "192.0.2.1"),
    "--base",
    output("base", "192.0.2.2"),
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^\*\*Plan: 1 to deliver again\*\*/);
  expect(out).toMatch(/\*\*dns\*\* was compared .*\(`there is no state here`\)/);
  expect(out).toContain("- `dns/pve/Resource` (`terraform_data.pve`): `/etc/resolv.conf`");
  expect(out).toContain("-nameserver 192.0.2.2\n+nameserver 192.0.2.1\n");
});

test("without Terraform too, with the stacks that are new and those that are gone", async () => {
  const stack = { resource: { config_map: { x: { name: "x" } } } };
  const head = output("head", "192.0.2.1", { fresh: stack });
  const { out } = await planReport("--output", head, "--base", output("base", "192.0.2.1", { gone: stack }));
  expect(out).toMatch(/\*\*Plan: 1 to destroy, 1 to create\*\*/);
  expect(out).toMatch(/\*\*gone\*\* was compared .*\(`no longer synthesised`\)/);
});

test("without Terraform and without a base nothing is reviewed, which does not pass for a plan without changes", async () => {
  const { code, out } = await planReport("--output", output("head", "192.0.2.1"));
  expect(code).toBe(0);
  expect(out).not.toContain("No changes");
  expect(out).toContain("- **dns** is not in this report: `there is no terraform or tofu on the PATH`");
});

test("a secret from the environment appears nowhere", async () => {
  process.env.REG_PASS = "the-Planted-Secret";
  process.env.TF_VAR_registry_user = "planted-User";
  const head = output("head", "the-Planted-Secret planted-User");
  const { out } = await planReport("--output", head, "--base", output("base", "192.0.2.2"));
  expect(out).toContain("+nameserver (sensitive value) (sensitive value)");
  expect(out).not.toMatch(/Planted-Secret|planted-User/);
});

describe("refused, in one line", () => {
  const line = (text: string) => expect.stringMatching(new RegExp(`^error: ${text}\n$`));

  test("a file that is no plan", async () => {
    const file = join(directory, "state.json");
    writeFileSync(file, '{"format_version":"1.0","values":{}}');
    expect(await planReport(file)).toEqual({
      code: 2,
      out: "",
      err: line(`${file} is a state; write it with "terraform show -json plan"`),
    });
  });

  test("a file and an output that are not there", async () => {
    const absent = join(directory, "absent.json");
    expect(await planReport(absent)).toMatchObject({
      code: 2,
      out: "",
      err: line(`${absent} cannot be read \\(ENOENT\\); .*`),
    });
    expect(await planReport("--output", absent)).toMatchObject({
      code: 2,
      err: line(`${absent}/manifest.json cannot be read .*`),
    });
  });

  test("an output with a stack name that is not safe in a command", async () => {
    const out = output("evil", "192.0.2.1");
    const manifest = readFileSync(join(out, "manifest.json"), "utf8").replace('"dns":{', '"dns; rm -rf /":{');
    writeFileSync(join(out, "manifest.json"), manifest);
    expect(await planReport("--output", out)).toMatchObject({
      code: 2,
      err: line('the stack "dns; rm -rf /" has no name .*'),
    });
  });

  test("wrong usage", async () => {
    expect((await planReport("--commit", "HEAD")).code).toBe(64);
    expect((await planReport("dns.json", "--base", "x")).code).toBe(64);
  });
});
