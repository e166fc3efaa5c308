import type { PruneReport } from "../../../registry/storage/prune";
import { pruneTable } from "../../../registry/storage/prune-table";

const empty: PruneReport = {
  root: "/srv/registry",
  policy: { rules: [] } as unknown as PruneReport["policy"],
  keep: { tags: 0, manifests: 0, blobs: 0, bytes: 0 },
  remove: { tags: [], manifests: [], blobs: 0, bytes: 0 },
  applied: false,
  kept: [],
  skipped: [],
  doubts: [],
  inUse: { reports: [], removed: [] },
  foreign: [],
  journal: null,
};

test("a store without tags has no table, and no heading of one", () => {
  expect(pruneTable(empty)).toEqual([
    "store     /srv/registry",
    "keep      0 tags, 0 manifests, 0 blobs (0 B)",
    "remove    0 tags, 0 manifests; the garbage collection frees 0 blobs (0 B)",
    "",
    "next      the same with --apply and --registry URL of the registry, stopped or read-only",
  ]);
});

test("what stays and what goes is one row each, with the reason", () => {
  const tag = (name: string, reason: string) => ({ repository: "app", tag: name, reason });
  const report = { ...empty, kept: [tag("v2", "newest")], remove: { ...empty.remove, tags: [tag("v1", "older")] } };
  expect(pruneTable(report).slice(4, 7)).toEqual([
    expect.stringMatching(/^ +NAME +REASON$/),
    expect.stringMatching(/^keep +app:v2 +newest$/),
    expect.stringMatching(/^remove +app:v1 +older$/),
  ]);
});
