import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { STACKS } from "../../site/stacks";
import { stackDirectory } from "../../stacks/app";
import { forgetOtherSite } from "../../stacks/other-site";
import { referenceSite } from "../sites";

const folder = mkdtempSync(join(tmpdir(), "other-site-"));
const output = join(folder, "cdktf.out");
afterAll(() => rmSync(folder, { recursive: true }));

/** What Terraform leaves in a stack's folder: where the state is, and its providers. */
const files = STACKS.map((stack) => join(stackDirectory(stack, output), ".terraform"));
const initialised = (): void => {
  for (const file of files) {
    mkdirSync(join(file, "providers"), { recursive: true });
    writeFileSync(join(file, "terraform.tfstate"), "{}");
  }
};
const remembered = (): boolean[] => files.map((file) => existsSync(join(file, "terraform.tfstate")));

const home = { ...referenceSite, name: "home" };
const office = { ...referenceSite, name: "office" };

test("what Terraform remembers of one site is none of another's, in each stack and in each direction", () => {
  forgetOtherSite(home, output);
  for (const site of [office, home]) {
    initialised();
    forgetOtherSite(site, output);
    expect(remembered()).toEqual([false, false, false]);
  }
  expect(files.every((file) => existsSync(join(file, "providers")))).toBe(true);
});

test("a site that stays keeps it, so that its own change of the backend is refused and can be migrated", () => {
  initialised();
  forgetOtherSite(home, output);
  forgetOtherSite({ ...home, state: { backend: "kubernetes", namespace: "terraform" } }, output);
  expect(remembered()).toEqual([true, true, true]);
});

test("an output of which nothing is known keeps it too", () => {
  rmSync(output, { recursive: true });
  initialised();
  forgetOtherSite(home, output);
  expect(remembered()).toEqual([true, true, true]);
});
