import { type FolderMutants, killAll, type SourceMutant } from "./mutants";

const TOUCHED = "prune-touched.test.ts";
const HIDDEN = "hidden-damage.test.ts";

const mutants: readonly SourceMutant[] = [
  { file: "damage.ts", from: 'kind === "hidden-repository" ||', to: "", tests: TOUCHED },
  { file: "damage.ts", from: "if (!isWhole) for", to: "if (false) for", tests: "prune.test.ts" },
  { file: "prune.ts", from: "lock.check();", to: "", tests: TOUCHED },
  { file: "prune.ts", from: "await requireQuiet();", to: "" },
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
  { file: "hidden-damage.ts", from: 'each.kind === "hidden-repository" && each.repository', to: "each.repository" },
  { file: "hidden-damage.ts", from: "&& each.repository === repository", to: "" },
  { file: "hidden-damage.ts", from: "if ([digest, parent].some", to: "if ([].some" },
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
  },
];

export const STORE_MUTANTS: FolderMutants = { folder: "registry/storage", mutants };

export const runBench = async (): Promise<void> => killAll(STORE_MUTANTS);
