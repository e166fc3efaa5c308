import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import configuration from "../renovate.json";

const root = join(__dirname, "..");

const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n").filter(Boolean);
const read = (file: string): string => readFileSync(join(root, file), "utf8");

/** What a manager of ours finds, as "name version". */
const found = (description: string): string[] => {
  const manager = configuration.customManagers.find((each) => each.description === description);
  if (manager === undefined) throw new Error(`renovate.json has no manager "${description}"`);
  const patterns = manager.managerFilePatterns.map((pattern) => new RegExp(pattern.slice(1, -1)));
  return files
    .filter((file) => patterns.some((pattern) => pattern.test(file)))
    .flatMap((file) =>
      manager.matchStrings.flatMap((pattern) =>
        [...read(file).matchAll(new RegExp(pattern, "g"))].map(
          ({ groups }) => `${groups?.depName ?? manager.depNameTemplate} ${groups?.currentValue}`,
        ),
      ),
    );
};

const pins = (file: string, pattern: RegExp): number => (read(file).match(pattern) ?? []).length;

describe("Renovate sees every pin", () => {
  test("in every folder: its recommended settings leave out examples and tests", () => {
    expect(configuration.ignorePaths).toEqual(["**/node_modules/**"]);
  });

  test("of images in a site", () => {
    const sites = files.filter((file) => /^site\/reference\.ts$|^examples\/[^/]+\/site\.ts$/.test(file));
    expect(sites.length).toBeGreaterThan(5);
    const images = found("Images of a site");
    expect(images).toEqual(
      expect.arrayContaining([expect.stringMatching(/^registry \d/), expect.stringMatching(/^nginx \d/)]),
    );
    expect(images).toHaveLength(sites.reduce((sum, file) => sum + pins(file, /\btag: "/g), 0));
  });

  test("of the lab's Go modules, by the module and not by a program in it", () => {
    const modules = found("Components of the lab that are built from Go modules");
    expect(modules).toHaveLength(pins("tools/lab/components", /^[^#].*\S@v\d/gm));
    expect(modules.filter((each) => /\/cmd\//.test(each))).toEqual([]);
  });

  test("that names its source", () => {
    const marked = files
      .filter((file) => file.startsWith("tools/"))
      .reduce((sum, file) => sum + pins(file, /# renovate: datasource/g), 0);
    expect(marked).toBeGreaterThan(0);
    expect(found("Pins that name their source beside them")).toHaveLength(marked);
  });

  test("of Node in a download", () => {
    const downloads = files
      .filter((file) => file.startsWith(".woodpecker/"))
      .reduce((sum, file) => sum + pins(file, /nodejs\.org\/dist/g), 0);
    expect(found("Node where a pipeline downloads it")).toHaveLength(downloads);
  });

  test("of npm, which is exact", () => {
    for (const file of files.filter((each) => each.endsWith("package.json"))) {
      const { dependencies = {}, devDependencies = {} } = JSON.parse(read(file));
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
        expect([name, version]).toEqual([
          name,
          expect.stringMatching(/^(npm:[\w@/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$|^file:/),
        ]);
    }
  });

  test("of actions and images of pipelines, none of which floats", () => {
    for (const file of files.filter((each) => /^\.(github|woodpecker)\/.*\.ya?ml$/.test(each))) {
      for (const [, action] of read(file).matchAll(/uses: (\S+)/g)) expect(action).toMatch(/^\.\/|@[0-9a-f]{40}$/);
      for (const [, image] of read(file).matchAll(/image: (\S+)/g)) expect(image).toMatch(/:v?\d+\.\d+\.\d+/);
    }
  });
});
