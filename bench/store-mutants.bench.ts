import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A guard of registry/storage that is taken away, and the tests that must notice. */
interface Mutant {
  file: string;
  from: string;
  to: string;
  tests: string;
}

const TOUCHED = "prune-touched.test.ts";
const HIDDEN = "hidden-loss.test.ts";

export const MUTANTS: readonly Mutant[] = [
  { file: "damage.ts", from: 'kind === "hidden-repository" ||', to: "", tests: TOUCHED },
  { file: "damage.ts", from: "if (!isWhole) for", to: "if (false) for", tests: "prune.test.ts" },
  { file: "prune.ts", from: "lock.check();", to: "", tests: TOUCHED },
  { file: "prune.ts", from: "await requireQuiet();", to: "", tests: "prune.test.ts" },
  {
    file: "prune.ts",
    from: "const skipped = notItsOwn(reader, findings)",
    to: "const skipped = new Map()",
    tests: TOUCHED,
  },
  { file: "prune.ts", from: "!marked.has(digest)", to: "false", tests: TOUCHED },
  { file: "removal.ts", from: "refuseChanged(parent, removal);", to: "", tests: TOUCHED },
  { file: "left-alone.ts", from: "refuseHiding(foreign);", to: "", tests: TOUCHED },
  { file: "left-alone.ts", from: "of twins(reader, repositories)", to: "of [] as never[]", tests: TOUCHED },
  { file: "tag-age.ts", from: "pushed.pushedAt > now + AHEAD", to: "false", tests: TOUCHED },
  { file: "tag-age.ts", from: "pushed.pushedAt < created - BEFORE_IMAGE", to: "false", tests: TOUCHED },
  { file: "tag-age.ts", from: "Math.max(...links) <= Math.min(...tags)", to: "false", tests: TOUCHED },
  { file: "tag-age.ts", from: "return isOtherOrder(made)", to: "return false", tests: TOUCHED },
  { file: "tag-age.ts", from: "isCopiedWithTags(graph, push, group))", to: "false)", tests: TOUCHED },
  { file: "tag-age.ts", from: "linkedAt <= before ||", to: "", tests: TOUCHED },
  { file: "tag-age.ts", from: "linkedAt >= pushedAt && pushedAt - before < COPYING", to: "false", tests: TOUCHED },
  { file: "tag-age.ts", from: "pushedAt - before < COPYING", to: "true", tests: TOUCHED },
  {
    file: "hidden-loss.ts",
    from: 'each.kind === "hidden-repository" && each.repository',
    to: "each.repository",
    tests: HIDDEN,
  },
  { file: "hidden-loss.ts", from: "&& each.repository === repository", to: "", tests: HIDDEN },
  { file: "hidden-loss.ts", from: "if ([digest, parent].some", to: "if ([].some", tests: HIDDEN },
  { file: "repair.ts", from: "...lostFolders(found.warnings, findings)", to: "", tests: HIDDEN },
  {
    file: "retention.ts",
    from: "untagged === true && rule.untaggedOlderThanHours === undefined",
    to: "false",
    tests: TOUCHED,
  },
  { file: "folder.ts", from: "FOLDER | constants.O_NOFOLLOW", to: "FOLDER", tests: TOUCHED },
  { file: "lock.ts", from: "refuseForeign(path, folder);", to: "", tests: TOUCHED },
  { file: "journal.ts", from: "unfinishedIn(journals) ?? freeJournalName", to: "freeJournalName", tests: TOUCHED },
  { file: "journal.ts", from: "isDigest(digest) && !hasData(digest)", to: "isDigest(digest)", tests: "prune.test.ts" },
  {
    file: "disk.ts",
    from: "| constants.O_NOFOLLOW | constants.O_NONBLOCK",
    to: "| constants.O_NONBLOCK",
    tests: "foreign.test.ts",
  },
  {
    file: "disk.ts",
    from: 'return stats.isFile() ? read(file, stats) : "special";',
    to: "return read(file, stats);",
    tests: "foreign.test.ts",
  },
  {
    file: "scan-task.ts",
    from: "reader.knowBlobs(task.strangers)",
    to: "reader.knowBlobs([])",
    tests: "foreign.test.ts",
  },
  { file: "scan.ts", from: "reader.isThere(path)", to: "reader.changedAt(path) !== null", tests: "foreign.test.ts" },
  {
    file: "repair-apply.ts",
    from: "if (matches(bytes, digest) && ",
    to: "if (false && ",
    tests: "../../cli/repair.test.ts",
  },
  { file: "scan.ts", from: "...strangersAboveBlobs(reader)", to: "", tests: "foreign.test.ts" },
  { file: "upload.ts", from: "manifests <= earliest", to: "manifests > earliest", tests: "foreign.test.ts" },
  {
    file: "inspect.ts",
    from: 'this.#options.role === "private") this.#report(digest, "orphan',
    to: 'true) this.#report(digest, "orphan',
    tests: "inspect.test.ts",
  },
];

const ROOT = join(__dirname, "..");
const NEEDED = [
  "cli",
  "registry",
  "site",
  "monitoring",
  "text",
  "test",
  "jest.config.js",
  "package.json",
  "tsconfig.json",
];

/** A copy of what the tests of the store need, in which the sources may be changed. */
const copyOfSources = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "warden-mutants-"));
  for (const name of NEEDED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
};

/** Removes each guard in turn: a mutant that no test kills is a gap. */
export const run = async (): Promise<void> => {
  const folder = copyOfSources();
  const survivors: string[] = [];
  const passes = (tests: string): boolean => {
    const args = ["--ci", "--bail", "--runTestsByPath", join("test/registry/storage", tests)];
    const { status } = spawnSync(join(folder, "node_modules/.bin/jest"), args, { cwd: folder, timeout: 600_000 });
    if (status === null) throw new Error(`${tests} does not end`);
    return status === 0;
  };
  try {
    for (const tests of new Set(MUTANTS.map((mutant) => mutant.tests))) {
      if (!passes(tests)) throw new Error(`${tests} fails without any mutant`);
    }
    for (const { file, from, to, tests } of MUTANTS) {
      const path = join(folder, "registry/storage", file);
      const source = readFileSync(path, "utf8");
      if (!source.includes(from))
        throw new Error(`${file} has no ${JSON.stringify(from)}: correct the list of mutants`);
      writeFileSync(
        path,
        source.replace(from, () => to),
      );
      const survives = passes(tests);
      writeFileSync(path, source);
      const name = `${file}: ${from} → ${to || "nothing"}`;
      process.stdout.write(`${survives ? "SURVIVES" : "killed  "}  ${name}\n`);
      if (survives) survivors.push(name);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (survivors.length > 0) throw new Error(`${survivors.length} of ${MUTANTS.length} mutants survive`);
};
