import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFolder } from "../../../registry/storage/lock";
import { type ScrubOptions, scrub } from "../../../registry/storage/scrub";
import { type Content, digestOf, image } from "../../lab/images";
import { SyntheticStore } from "./synthetic-store";

const pushed = [1, 2, 3, 4].map((n) => image(`app ${n}`));
const blobs: Content[] = pushed.flatMap((each) => [each, ...each.blobs]);
const FAST = 1024 ** 4;

let store: SyntheticStore;
let state: string;
beforeEach(() => {
  store = new SyntheticStore();
  for (const [at, each] of pushed.entries()) store.push("app", each, `v${at}`);
  state = mkdtempSync(join(tmpdir(), "warden-scrub-"));
});
afterEach(() => {
  store.remove();
  rmSync(state, { recursive: true });
});

const scrubbed = (options: Partial<ScrubOptions> = {}) =>
  scrub({ name: null, layout: store.layout }, { rate: FAST, state, ...options });

/** Runs a scrub that is stopped after this many blob folders. */
const endedAfter = async (folders: number) => {
  const stop = new AbortController();
  let left = folders;
  return scrubbed({
    signal: stop.signal,
    onProgress: () => {
      if (--left === 0) stop.abort();
    },
  });
};

const inOrder = [...blobs].sort((a, b) => (digestOf(a) < digestOf(b) ? -1 : 1));
const [first, last] = [inOrder[0], inOrder.at(-1)] as [Content, Content];
const rot = (of: Content) => writeFileSync(store.layout.blobData(digestOf(of)), Buffer.alloc(of.bytes.length, "x"));
const heal = (of: Content) => writeFileSync(store.layout.blobData(digestOf(of)), of.bytes);
const bytes = blobs.reduce((sum, each) => sum + each.bytes.length, 0);
const whole = {
  root: expect.any(String),
  complete: true,
  progress: 1,
  counts: { blobs: blobs.length, bytes, ofBlobs: blobs.length, ofBytes: bytes },
  corrupt: [],
};

test("a whole store: every byte is read, and nothing is found", async () => {
  expect(await scrubbed()).toEqual(whole);
  expect(await scrubbed({ state: undefined })).toEqual(whole);
});

test("what is altered, cut off or empty is found", async () => {
  const [altered, cut, empty] = blobs as [Content, Content, Content];
  rot(altered);
  truncateSync(store.layout.blobData(digestOf(cut)), 3);
  truncateSync(store.layout.blobData(digestOf(empty)), 0);
  expect((await scrubbed()).corrupt).toEqual([altered, cut, empty].map(digestOf).sort());
});

test("it goes on where it stopped, with what it has found, and then begins again", async () => {
  rot(first);
  rot(last);
  const part = await endedAfter(2);
  expect(part).toMatchObject({ complete: false, corrupt: [digestOf(first)] });
  expect(part.progress).toBeGreaterThan(0);
  expect(part.progress).toBeLessThan(1);
  const seen: number[] = [];
  const rest = await scrubbed({ onProgress: ({ counts }) => seen.push(counts.blobs) });
  expect(seen[0]).toBeGreaterThan(part.counts.blobs);
  expect(rest).toEqual({ ...whole, counts: { ...whole.counts, bytes }, corrupt: [digestOf(first), digestOf(last)] });
  expect((await endedAfter(1)).counts.blobs).toBeLessThan(blobs.length);
});

test("what was found counts until it is healed or gone, which is looked at first", async () => {
  rot(first);
  rot(last);
  await scrubbed();
  heal(last);
  // Long before it gets there again.
  expect((await endedAfter(1)).corrupt).toEqual([digestOf(first)]);
  rmSync(store.layout.blobData(digestOf(first)));
  expect((await endedAfter(1)).corrupt).toEqual([]);
});

test("a blob that is gone when its turn comes is none", async () => {
  rmSync(store.layout.blobData(digestOf(last)));
  expect(await scrubbed()).toMatchObject({ complete: true, corrupt: [] });
});

test.each(["", "{", "[]", '{"version":2}', '{"version":1,"after":"sha256/ff","blobs":"1"}'])(
  "a state that says %j is no state: it begins at the beginning",
  async (text) => {
    writeFileSync(join(state, "scrub.json"), text);
    expect(await scrubbed()).toEqual(whole);
  },
);

test("what it writes down is what the maintenance reports", async () => {
  rot(first);
  await scrubbed();
  expect(JSON.parse(readFileSync(join(state, "scrub.json"), "utf8"))).toMatchObject({ progress: 1, corruptBlobs: 1 });
});

test("two with one state are one too many", async () => {
  const lock = await lockFolder(state);
  await expect(scrubbed()).rejects.toMatchObject({ code: "locked" });
  await lock.release();
  expect(await scrubbed()).toEqual(whole);
});

test("it reads no faster than its rate", async () => {
  const began = performance.now();
  await scrubbed({ rate: 4 * bytes });
  expect(performance.now() - began).toBeGreaterThan(200);
});
