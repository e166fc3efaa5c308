import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A guard that is taken away, and the tests that must notice. */
export interface SourceMutant {
  /** In the folder of sources. */
  file: string;
  /** Occurs once in the file: `test/bench/mutants.test.ts`. */
  from: string;
  to: string;
  /**
   * In the folder that mirrors the sources, below `test`.
   * @default the tests named after the file
   */
  tests?: string;
}

export const testsOf = ({ file, tests = file.replace(/\.ts$/, ".test.ts") }: SourceMutant): string => tests;

/** The guards of one folder of sources, such as `registry/oci`. */
export interface FolderMutants {
  folder: string;
  mutants: readonly SourceMutant[];
}

const ROOT = join(__dirname, "..");
/** What the quick tests of `registry` need. */
const NEEDED = [
  "cli",
  "hosts",
  "registry",
  "site",
  "monitoring",
  "text",
  "test",
  "jest.config.js",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
];

/** A copy in which the sources may be changed. */
const copyOfSources = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "warden-mutants-"));
  for (const name of NEEDED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
};

/** Removes each guard in turn: a mutant that no test kills is a gap. @throws Error when one survives */
export const killAll = ({ folder, mutants }: FolderMutants): void => {
  const copy = copyOfSources();
  const survivors: string[] = [];
  const passes = (tests: string): boolean => {
    // A mutant may hang, and what a test that fails leaves open is of no interest.
    const options = ["--ci", "--bail", "--testTimeout=20000", "--forceExit", "--selectProjects", "quick"];
    const args = ["--runTestsByPath", join("test", folder, tests), ...options];
    const jest = join(copy, "node_modules/.bin/jest");
    const { status, stderr } = spawnSync(jest, args, { cwd: copy, encoding: "utf8", timeout: 600_000 });
    if (status === null) throw new Error(`${tests} does not end`);
    if (stderr.includes("Test suite failed to run")) throw new Error(`${tests} does not compile`);
    return status === 0;
  };
  try {
    for (const tests of new Set(mutants.map(testsOf))) {
      if (!passes(tests)) throw new Error(`${tests} fails without any mutant`);
    }
    for (const mutant of mutants) {
      const { file, from, to } = mutant;
      const path = join(copy, folder, file);
      const source = readFileSync(path, "utf8");
      writeFileSync(
        path,
        source.replace(from, () => to),
      );
      const survives = passes(testsOf(mutant));
      writeFileSync(path, source);
      const name = `${file}: ${from} → ${to || "nothing"}`;
      process.stdout.write(`${survives ? "SURVIVES" : "killed  "}  ${name}\n`);
      if (survives) survivors.push(name);
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
  process.stdout.write(`${mutants.length - survivors.length} of ${mutants.length} killed\n`);
  if (survivors.length > 0) throw new Error(`${survivors.length} of ${mutants.length} mutants survive`);
};
