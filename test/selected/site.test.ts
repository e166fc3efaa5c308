import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSite } from "../../site/load";
import { stacksOf } from "../../site/stacks";
import { createApp, stackDirectory } from "../../stacks/app";

/**
 * Tests of the selected site, whichever it is: they contain no value of a site, so that they also pass in a fork that
 * changes only its site.
 */
const site = loadSite();
const output = mkdtempSync(join(tmpdir(), "selected-"));
afterAll(() => rmSync(output, { recursive: true }));

const synthesised = (): string[] => {
  createApp(site, output).synth();
  return readdirSync(output, { recursive: true, encoding: "utf8" }).sort();
};

test("synthesises every stack that has something in it", () => {
  expect(synthesised()).toEqual(
    expect.arrayContaining(stacksOf(site).map((stack) => join("stacks", stack, "cdk.tf.json"))),
  );
});

test("writes nothing of this machine", () => {
  for (const file of synthesised().filter((name) => /\.(json|yaml|mjs)$/.test(name)))
    for (const trace of [output, join(__dirname, "..", "..")])
      expect(`${file}: ${readFileSync(join(output, file), "utf8").includes(trace)}`).toBe(`${file}: false`);
});

test("keeps its state outside cdktf.out", () => {
  synthesised();
  for (const stack of stacksOf(site)) {
    const { terraform } = JSON.parse(readFileSync(join(stackDirectory(stack, output), "cdk.tf.json"), "utf8"));
    expect(Object.keys(terraform.backend)).toEqual([site.state.backend]);
    expect(terraform.backend.local?.path ?? "").toMatch(/^(\.\.\/\.\.\/\.\.\/(?!cdktf\.out)|$)/);
  }
});
