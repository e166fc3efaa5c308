import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { fitting } from "../../constructs/config-map-program";
import { bundle } from "../../hosts/bundle";

const ENTRY = "monitoring/promql.ts";

it("bundles a program and what it imports into one module that Node runs", () => {
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-"], {
    input: bundle(ENTRY),
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

it("gives the same bytes from every working directory, without a path of this machine", () => {
  const here = process.cwd();
  const first = bundle(ENTRY);
  try {
    process.chdir("/");
    expect(bundle(ENTRY)).toBe(first);
  } finally {
    process.chdir(here);
  }
  expect(first).not.toContain(resolve(__dirname, "../.."));
});

it("fails for an entry that does not exist, in one line", () => {
  expect(() => bundle("cli/missing.ts")).toThrow(/^cli\/missing\.ts cannot be bundled: .*missing\.ts.*$/);
});

it("fails for a program that would not fit a ConfigMap", () => {
  const limit = 700 * 1024;
  expect(fitting("x".repeat(limit), "cli/probe.ts")).toHaveLength(limit);
  expect(() => fitting("x".repeat(limit + 1), "cli/probe.ts")).toThrow(
    "the program of cli/probe.ts has 701 KiB; allowed are 700",
  );
});
