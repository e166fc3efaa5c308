import { appendFileSync, readdirSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { IN_USE_REPOSITORY } from "../../../registry/in-use/report";
import { artifact, createdOn, digestOf, fallbackTagOf, image, index, type SyntheticManifest } from "../../lab/images";
import { storedReport } from "../in-use/stored-report";
import { newest } from "../newest";
import { type FakeRegistry, json } from "../oci/fake-registry";
import { startFakeRegistry } from "../oci/registry-of-test";
import { RemoteCleanUps } from "./clean-up";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const single = (n: number) => image(`v${n}`, { annotations: createdOn(n) });
const parts = ["amd64", "arm64"].map((architecture) =>
  image(architecture, { platform: { architecture, os: "linux" } }),
);
const [amd64, arm64] = parts as [SyntheticManifest, SyntheticManifest];
const old = index(parts, { annotations: createdOn(1) });

let registry: FakeRegistry;
let cleanUp: RemoteCleanUps;
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.deletes = { digests: true, tags: true };
  registry.takesPushes = true;
  cleanUp = new RemoteCleanUps(registry.url);
});
afterEach(() => {
  cleanUp.remove();
});

const app = () => registry.repository("app");
const tags = () => Object.fromEntries(app().tags);
const has = (manifest: SyntheticManifest) => app().manifests.has(digestOf(manifest));
const deletions = () =>
  registry.seen.filter(({ method }) => method === "DELETE").map(({ path }) => path.split("/").at(-1));

/** Acts when a manifest is deleted: right before the registry does it, or right after. */
const atDeletion = (of: SyntheticManifest, when: "before" | "after", act: () => void): void => {
  registry.on(`/v2/app/manifests/${digestOf(of)}`, (request, response) => {
    if (request.method !== "DELETE") return registry.serve(request, response);
    if (when === "before") act();
    registry.serve(request, response);
    if (when === "after") act();
  });
};

/** Acts as soon as the bytes of a manifest are read for the journal: after the plan, before the last check. */
const afterPlan = (act: () => void): void => {
  let reads = 0;
  registry.on("/v2/app/tags/list", (request, response) => {
    // The plan reads the first list, and the run itself the second.
    if (++reads === 3) act();
    registry.serve(request, response);
  });
};

describe("a plan", () => {
  test("keeps what a kept artifact refers to, through one that no tag leads to", async () => {
    const signature = artifact("signature", { subject: single(1) });
    const ofSignature = artifact("of the signature", { subject: signature });
    registry.push("app", single(1), "v1").push("app", single(2), "v2");
    registry.push("app", signature).push("app", ofSignature, "attested");
    const { kept, remove } = await cleanUp.plan(newest(1));
    expect(kept.map(({ tag }) => tag)).toEqual(["attested", "v2"]);
    expect(remove).toMatchObject({ tags: [{ tag: "v1", by: "tag" }], manifests: [] });
  });

  test("goes by the images' dates, says so, and changes nothing", async () => {
    registry.push("app", old, "v1").push("app", single(2), "v2").push("app", single(3), "v3", "latest");
    const report = await cleanUp.plan(newest(3));
    expect(report).toMatchObject({
      registry: registry.url.origin,
      untagged: "hidden",
      keep: { tags: 3, manifests: 2 },
      remove: { tags: [{ repository: "app", tag: "v1", reason: "older than the newest 3", by: "digest" }] },
      applied: false,
      journal: null,
    });
    expect(report.remove.manifests.map(({ digest }) => digest)).toEqual([old, amd64, arm64].map(digestOf).sort());
    const freed = [old, amd64, arm64].flatMap((each) => [each, ...each.blobs]);
    expect(report.remove).toMatchObject({
      blobs: freed.length,
      bytes: freed.reduce((sum, { bytes }) => sum + bytes.length, 0),
    });
    expect(registry.seen.filter(({ method }) => method !== "GET")).toEqual([]);
  });

  test("takes an image without a date for one that nobody can tell the age of", async () => {
    registry.push("app", artifact("report"), "report").push("app", single(1), "v1").push("app", single(2), "v2");
    const { kept, doubts } = await cleanUp.plan(newest(1));
    expect(kept.map(({ tag }) => tag)).toEqual(["report", "v2"]);
    expect(doubts).toEqual([{ repository: "app", doubt: "no-date", tags: 1 }]);
  });

  test("leaves a damaged repository alone, and an empty one", async () => {
    registry
      .push("app", old, "v1")
      .push("app", single(2), "v2")
      .push("ok", single(1), "v1")
      .push("ok", single(2), "v2");
    registry.repository("empty");
    app().manifests.delete(digestOf(arm64));
    const { skipped, remove } = await cleanUp.plan(newest(1));
    expect(skipped).toEqual([
      { repository: "app", reason: `${digestOf(arm64)} answered 404: warden verify tells more` },
      { repository: "empty", reason: "no tag is in it" },
    ]);
    expect(remove.tags.map(({ repository }) => repository)).toEqual(["ok"]);
  });

  test.each([
    ["the list of tags", "/v2/app/tags/list", "its list of tags cannot be read: answered 500"],
    ["a tag", "/v2/app/manifests/v1", "the tag v1 answered 500: warden verify tells more"],
  ])("leaves alone where %s cannot be read", async (_, path, reason) => {
    registry.push("app", single(1), "v1").push("app", single(2), "v2");
    registry.on(path, (_request, response) => json(response, 500, {}));
    expect(await cleanUp.plan(newest(1))).toMatchObject({
      skipped: [{ repository: "app", reason }],
      remove: { tags: [] },
    });
  });

  test("refuses an order that the registry does not tell", async () => {
    registry.push("app", single(1), "v1");
    await expect(cleanUp.plan(newest(1, { order: "pushed" }))).rejects.toMatchObject({
      code: "policy",
      message: `${registry.host} does not tell when the tags of app were pushed`,
    });
  });

  test("refuses without a catalog, and takes repositories by name", async () => {
    registry.push("app", single(1), "v1").push("app", single(2), "v2").push("other", single(1), "v1");
    registry.on("/v2/_catalog", (_, response) => json(response, 404, {}));
    await expect(cleanUp.plan(newest(1))).rejects.toMatchObject({ code: "no-catalog" });
    const { remove } = await cleanUp.plan(newest(1), { repositories: ["app"] });
    expect(remove.tags.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual(["app:v1"]);
  });

  describe("and what runs", () => {
    const protecting = { ...newest(1), protectInUse: { clusters: ["home"], maximumAgeHours: 24 } };
    const report = (ago: number) =>
      storedReport({ cluster: "home", time: Date.now() - ago, digests: [digestOf(arm64)] });
    beforeEach(() => {
      registry.push("app", old, "v1").push("app", single(2), "v2").push("app", single(3), "v3");
    });

    test("stays with its tag, by what the cluster reports, and so does the report", async () => {
      registry.push(IN_USE_REPOSITORY, report(HOUR), "home");
      const { kept, remove, inUse } = await cleanUp.apply(protecting);
      expect(kept).toContainEqual({ repository: "app", tag: "v1", reason: "it runs in home" });
      expect(remove.tags.map(({ tag }) => tag)).toEqual(["v2"]);
      expect(inUse).toMatchObject({ reports: [{ cluster: "home", digests: 1, protected: true }], removed: [] });
      expect(Object.keys(tags())).toEqual(["v1", "v3"]);
      expect([...registry.repository(IN_USE_REPOSITORY).tags.keys()]).toEqual(["home"]);
    });

    test("is named before it goes where nothing protects it", async () => {
      registry.push(IN_USE_REPOSITORY, report(HOUR), "home");
      const { inUse } = await cleanUp.plan(newest(1));
      expect(inUse.removed).toEqual(
        [old, arm64]
          .map((each) => ({ repository: "app", digest: digestOf(each), clusters: ["home"] }))
          .sort((a, b) => (a.digest < b.digest ? -1 : 1)),
      );
    });

    test.each<[string, () => void, RegExp]>([
      ["missing", () => {}, /^the report of what runs in "home" is missing/],
      ["too old", () => registry.push(IN_USE_REPOSITORY, report(25 * HOUR), "home"), /is 25 hours old, and may be 24/],
      ["forged", () => registry.push(IN_USE_REPOSITORY, single(1), "home"), /is not of the artifact type/],
    ])("is not known where its report is %s: nothing is done", async (_, put, message) => {
      put();
      await expect(cleanUp.apply(protecting)).rejects.toMatchObject({
        code: "in-use",
        message: expect.stringMatching(message),
      });
      expect(deletions()).toEqual([]);
    });
  });
});

describe("a clean-up", () => {
  test("removes an index before its parts, and what is kept can be pulled", async () => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
    const report = await cleanUp.apply(newest(1));
    expect(report).toMatchObject({ applied: true, spared: [], problems: [], remaining: [] });
    expect(deletions()[0]).toBe(digestOf(old));
    expect(deletions().toSorted()).toEqual([old, amd64, arm64].map(digestOf).sort());
    expect(tags()).toEqual({ v2: digestOf(single(2)) });
    expect(await cleanUp.apply(newest(1))).toMatchObject({ remove: { tags: [], manifests: [] }, journal: null });
  });

  test("tells a registry that takes no deletions in one line, and leaves no journal", async () => {
    registry.push("app", single(1), "v1").push("app", single(2), "v2");
    registry.deletes = { digests: false, tags: false };
    await expect(cleanUp.apply(newest(1))).rejects.toMatchObject({
      code: "no-deletions",
      message: `${registry.host} takes no deletions (405)`,
    });
    expect(readdirSync(join(cleanUp.journals, registry.host.replace(":", "_")))).toEqual([]);
  });

  test("tells refused credentials", async () => {
    registry.push("app", single(1), "v1").push("app", single(2), "v2");
    registry.on(`/v2/app/manifests/${digestOf(single(1))}`, (request, response) => {
      if (request.method === "DELETE") json(response, 403, {});
      else registry.serve(request, response);
    });
    await expect(cleanUp.apply(newest(1))).rejects.toMatchObject({ code: "unauthorized" });
  });

  test("what fails stays with all its parts, and the next run goes on in the same journal", async () => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
    let failing = true;
    registry.on(`/v2/app/manifests/${digestOf(arm64)}`, (request, response) => {
      if (request.method === "DELETE" && failing) json(response, 500, {});
      else registry.serve(request, response);
    });
    const report = await cleanUp.apply(newest(1));
    expect(report.problems).toEqual([
      { repository: "app", digest: digestOf(arm64), message: "its removal answered 500" },
    ]);
    expect({ old: has(old), amd64: has(amd64), arm64: has(arm64) }).toEqual({ old: false, amd64: false, arm64: true });
    failing = false;
    const second = await cleanUp.apply(newest(1));
    expect(second).toMatchObject({ remove: { manifests: [{ digest: digestOf(arm64) }] }, journal: report.journal });
    expect(has(arm64)).toBe(false);
    await cleanUp.undo(second.journal ?? "");
    expect(tags()).toEqual({ v1: digestOf(old), v2: digestOf(single(2)) });
    expect([old, amd64, arm64].every(has)).toBe(true);
  });

  test.each([
    ["goes when that is done", () => {}, true],
    ["stays if a tag comes with it", () => app().tags.set("release", digestOf(arm64)), false],
  ])("what is being pushed in the moment of its deletion %s", async (_, push, goes) => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
    let writing = true;
    registry.on(`/v2/app/manifests/${digestOf(arm64)}`, (request, response) => {
      if (request.method !== "DELETE" || !writing) return registry.serve(request, response);
      writing = false;
      push();
      json(response, 400, { errors: [{ code: "DIGEST_INVALID" }] });
    });
    const { problems, remaining } = await cleanUp.apply(newest(1));
    expect({ problems, remaining }).toEqual({ problems: [], remaining: [] });
    expect(has(arm64)).toBe(!goes);
  });

  test("an index that cannot be removed keeps its parts", async () => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
    registry.on(`/v2/app/manifests/${digestOf(old)}`, (request, response) => {
      if (request.method === "DELETE") json(response, 500, {});
      else registry.serve(request, response);
    });
    const { spared } = await cleanUp.apply(newest(1));
    expect([old, amd64, arm64].every(has)).toBe(true);
    expect(spared).toContainEqual({
      repository: "app",
      tag: "v1",
      digest: digestOf(old),
      reason: "its removal answered 500",
    });
  });

  test("a deletion whose answer is lost counts by what is there afterwards", async () => {
    registry.push("app", single(1), "v1").push("app", single(2), "v2").push("app", single(3), "v3");
    const lose = (of: SyntheticManifest, isDone: boolean) =>
      registry.on(`/v2/app/manifests/${digestOf(of)}`, (request, response) => {
        if (request.method !== "DELETE") return registry.serve(request, response);
        if (isDone) app().manifests.delete(digestOf(of));
        if (isDone) app().tags.delete("v1");
        (request as IncomingMessage).socket.destroy();
      });
    lose(single(1), true);
    lose(single(2), false);
    const { problems } = await cleanUp.apply(newest(1));
    expect(problems).toMatchObject([
      { digest: digestOf(single(2)), message: expect.stringMatching(/without an answer/) },
    ]);
    expect(tags()).toEqual({ v2: digestOf(single(2)), v3: digestOf(single(3)) });
  });

  test("a deletion that took the manifest and left its tag is taken back: nothing is broken, and the next run does it", async () => {
    registry.namesRevisions = true;
    registry.push("app", single(1), "v1").push("app", single(2), "v2");
    let half = true;
    registry.on(`/v2/app/manifests/${digestOf(single(1))}`, (request, response) => {
      if (request.method !== "DELETE" || !half) return registry.serve(request, response);
      half = false;
      app().manifests.delete(digestOf(single(1)));
      json(response, 500, {});
    });
    const { problems, remaining, spared, journal } = await cleanUp.apply(newest(1));
    expect({ problems, remaining }).toEqual({ problems: [], remaining: [] });
    expect(spared).toContainEqual(expect.objectContaining({ tag: "v1", digest: digestOf(single(1)) }));
    expect(journal).not.toBeNull();
    expect([has(single(1)), tags().v1]).toEqual([true, digestOf(single(1))]);
    expect(await cleanUp.apply(newest(1))).toMatchObject({ problems: [], spared: [] });
    expect(Object.keys(tags())).toEqual(["v2"]);
  });

  test("and counts as not done where nobody can tell", async () => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
    let isLost = false;
    registry.on(`/v2/app/manifests/${digestOf(old)}`, (request, response) => {
      if (request.method === "DELETE") {
        isLost = true;
        (request as IncomingMessage).socket.destroy();
      } else if (isLost) json(response, 500, {});
      else registry.serve(request, response);
    });
    const { problems } = await cleanUp.apply(newest(1));
    expect(problems[0]).toMatchObject({ digest: digestOf(old), message: expect.stringMatching(/without an answer/) });
    expect([old, amd64, arm64].every(has)).toBe(true);
  });

  test("two at a time: the second refuses", async () => {
    registry.push("app", single(1), "v1").push("app", single(2), "v2");
    const both = await Promise.allSettled([cleanUp.apply(newest(1)), cleanUp.apply(newest(1))]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "locked" } });
  });
});

describe("a tag that goes while its manifest stays", () => {
  beforeEach(() => {
    // By its date v1 is old, but its manifest is part of an image that stays.
    registry.push("app", single(1), "v1").push("app", index([single(1)], { annotations: createdOn(3) }), "v3");
  });

  test("is deleted alone where the registry can", async () => {
    const { remove, spared, journal } = await cleanUp.apply(newest(1));
    expect(remove).toMatchObject({ tags: [{ tag: "v1", by: "tag" }], manifests: [] });
    expect(spared).toEqual([]);
    expect(Object.keys(tags())).toEqual(["v3"]);
    expect(has(single(1))).toBe(true);
    await cleanUp.undo(journal ?? "");
    expect(tags().v1).toBe(digestOf(single(1)));
  });

  test("is left and named where it cannot", async () => {
    registry.deletes = { digests: true, tags: false };
    const { spared, journal } = await cleanUp.apply(newest(1));
    const reason = "this registry deletes no tag without its manifest";
    expect(spared).toEqual([{ repository: "app", tag: "v1", digest: digestOf(single(1)), reason }]);
    expect(Object.keys(tags())).toEqual(["v1", "v3"]);
    expect(journal).toBe(null);
  });

  test("is put back with its manifest where the registry took both", async () => {
    registry.on("/v2/app/manifests/v1", (request, response) => {
      if (request.method === "DELETE") app().manifests.delete(digestOf(single(1)));
      registry.serve(request, response);
    });
    const { spared, remaining } = await cleanUp.apply(newest(1));
    expect(spared).toMatchObject([{ tag: "v1" }]);
    expect(remaining).toEqual([]);
    expect(has(single(1))).toBe(true);
    expect(Object.keys(tags()).sort()).toEqual(["v1", "v3"]);
  });

  test("stays when it was pushed again", async () => {
    registry.on("/v2/app/manifests/v1", (request, response) => {
      if (request.method === "GET" && registry.asked(/manifests\/v1$/).length === 3)
        registry.push("app", single(9), "v1");
      registry.serve(request, response);
    });
    await cleanUp.apply(newest(1));
    expect(tags().v1).toBe(digestOf(single(9)));
  });
});

describe("what is pushed during a clean-up", () => {
  beforeEach(() => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
  });

  test("a new tag keeps an image that was to go", async () => {
    afterPlan(() => app().tags.set("release", digestOf(old)));
    const { spared, remaining } = await cleanUp.apply(newest(1));
    expect(tags().release).toBe(digestOf(old));
    expect([old, amd64, arm64].every(has)).toBe(true);
    expect(spared).toContainEqual(expect.objectContaining({ tag: "v1", reason: "release leads to it since the plan" }));
    expect(remaining).toEqual([]);
  });

  test("a tag that is moved to the next image that was to go keeps that from going at all", async () => {
    registry.push("app", single(3), "v3");
    const doomed = [old, single(2)];
    for (const each of doomed) {
      const next = doomed.find((other) => other !== each) as SyntheticManifest;
      atDeletion(each, "after", () => app().tags.set("v3", digestOf(next)));
    }
    const { remaining } = await cleanUp.apply(newest(1));
    expect(deletions().filter((digest) => doomed.map(digestOf).includes(digest as never))).toHaveLength(1);
    expect(Object.keys(tags())).toContain("v3");
    expect(remaining).toEqual([]);
  });

  test("the last that is removed is looked after too", async () => {
    registry.push("app", single(3), "v3");
    app().tags.delete("v1");
    for (const each of [old, ...parts]) app().manifests.delete(digestOf(each));
    atDeletion(single(2), "after", () => app().tags.set("release", digestOf(single(2))));
    await cleanUp.apply(newest(1));
    expect(deletions()).toEqual([digestOf(single(2))]);
    expect(has(single(2))).toBe(true);
    expect(tags()).toEqual({ release: digestOf(single(2)), v3: digestOf(single(3)) });
  });

  test("what is written when all is done is found by the look after a while", async () => {
    const fresh = index([arm64], { annotations: createdOn(4) });
    const end = () => {
      app().manifests.set(digestOf(fresh), { bytes: fresh.bytes, mediaType: fresh.descriptor.mediaType });
      app().tags.set("v4", digestOf(fresh));
    };
    cleanUp.settle = 20;
    registry.on("/v2/app/tags/list", (request, response) => {
      registry.serve(request, response);
      // This is the last list that is read before the pause.
      if (!has(old) && !has(amd64) && !has(arm64) && !app().tags.has("v4")) setTimeout(end, 5);
    });
    const { remaining } = await cleanUp.apply(newest(1));
    expect(tags().v4).toBe(digestOf(fresh));
    expect(has(arm64)).toBe(true);
    expect(remaining).toEqual([]);
  });

  test.each([
    ["is read when that is done", 2, []],
    ["and is not for good: nothing more goes", 99, ["its tag v3 cannot be read: answered 500"]],
  ])("a tag that is being written %s", async (_, times, messages) => {
    let left = 0;
    registry.on("/v2/app/manifests/v3", (request, response) => {
      if (left-- > 0) json(response, 500, {});
      else registry.serve(request, response);
    });
    afterPlan(() => {
      registry.push("app", index([arm64], { annotations: createdOn(5) }), "v3");
      left = times;
    });
    const { problems } = await cleanUp.apply(newest(1));
    expect(problems.map(({ message }) => message)).toEqual(messages);
    expect(has(arm64)).toBe(true);
    expect(deletions()).toHaveLength(messages.length === 0 ? 2 : 0);
  });

  test("a tag that is moved keeps it too", async () => {
    afterPlan(() => app().tags.set("v2", digestOf(old)));
    await cleanUp.apply(newest(1));
    expect(tags().v2).toBe(digestOf(old));
    expect([old, amd64, arm64].every(has)).toBe(true);
  });

  test("a tag that is moved there in the moment of the deletion is put back with the image", async () => {
    atDeletion(old, "before", () => app().tags.set("v2", digestOf(old)));
    const { remaining, problems } = await cleanUp.apply(newest(1));
    expect(tags()).toEqual({ v2: digestOf(old) });
    expect([old, amd64, arm64].every(has)).toBe(true);
    expect({ remaining, problems }).toEqual({ remaining: [], problems: [] });
  });

  test("and so is one that led to an image that was put back before", async () => {
    registry.push("app", single(3), "v3").push("app", single(4), "v4", "stable");
    const policy = newest(1, { keep: ["stable"] });
    const moves: SyntheticManifest[] = [];
    const move = (to: SyntheticManifest) => () => {
      moves.push(to);
      // A client pushes the whole image.
      registry.push("app", to, "stable");
    };
    // The first one deleted is needed again and is restored; the next is deleted together with the tag that moved to
    // it.
    for (const each of [single(2), single(3)]) {
      registry.on(`/v2/app/manifests/${digestOf(each)}`, (request, response) => {
        const isFirst = request.method === "DELETE" && moves.length === 0;
        const isNext = request.method === "DELETE" && moves.length === 1 && moves[0] !== each;
        if (isNext) move(each)();
        registry.serve(request, response);
        if (isFirst) move(each)();
      });
    }
    const { remaining, problems } = await cleanUp.apply(policy);
    expect(moves).toHaveLength(2);
    expect(tags().stable).toBe(digestOf(moves[1] as SyntheticManifest));
    expect({ remaining, problems }).toEqual({ remaining: [], problems: [] });
  });

  test("a tag whose push ends only after looks at the tags gets its image back, and no other", async () => {
    registry.namesRevisions = true;
    registry.push("app", single(3), "v3").push("app", single(4), "v4", "stable");
    const gone: SyntheticManifest[] = [];
    for (const each of [single(2), single(3)]) {
      atDeletion(each, "after", () => {
        gone.push(each);
        // The registry had checked the first one before it was deleted.
        if (gone.length === 2) app().tags.set("stable", digestOf(gone[0] as SyntheticManifest));
      });
    }
    const { remaining, problems } = await cleanUp.apply(newest(1, { keep: ["stable"] }));
    expect(tags().stable).toBe(digestOf(gone[0] as SyntheticManifest));
    expect(gone.map(has)).toEqual([true, false]);
    expect({ remaining, problems }).toEqual({ remaining: [], problems: [] });
  });

  test("and is left to whoever pushes it once more before that", async () => {
    atDeletion(old, "before", () => app().tags.set("v2", digestOf(old)));
    registry.on("/v2/app/manifests/v2", (request, response) => {
      if (app().tags.get("v2") === undefined) registry.push("app", single(7), "v2");
      registry.serve(request, response);
    });
    const { remaining } = await cleanUp.apply(newest(1));
    expect(tags()).toEqual({ v2: digestOf(single(7)) });
    expect(remaining).toEqual([]);
  });

  test("a tag that is written right after the deletion leads nowhere, until the image is put back", async () => {
    atDeletion(old, "after", () => app().tags.set("release", digestOf(old)));
    const { remaining } = await cleanUp.apply(newest(1));
    expect(tags().release).toBe(digestOf(old));
    expect([old, amd64, arm64].every(has)).toBe(true);
    expect(remaining).toEqual([]);
  });

  test("an index that the registry had found whole before a part of it went gets the part back", async () => {
    const fresh = index([arm64], { annotations: createdOn(4) });
    atDeletion(arm64, "after", () => {
      app().manifests.set(digestOf(fresh), { bytes: fresh.bytes, mediaType: fresh.descriptor.mediaType });
      app().tags.set("v4", digestOf(fresh));
    });
    const { remaining } = await cleanUp.apply(newest(1));
    expect(has(arm64)).toBe(true);
    expect(has(amd64)).toBe(false);
    expect(remaining).toEqual([]);
  });

  test("an index of which a part cannot be read ends the work on its repository", async () => {
    const inner = index([arm64]);
    afterPlan(() => registry.push("app", index([inner], { annotations: createdOn(5) }), "v5"));
    registry.on(`/v2/app/manifests/${digestOf(inner)}`, (_, response) => json(response, 500, {}));
    const { problems } = await cleanUp.apply(newest(1));
    expect(problems).toMatchObject([{ message: `${digestOf(inner)} cannot be read: answered 500` }]);
    expect(deletions()).toEqual([]);
  });

  test("referrers that cannot be read end it too", async () => {
    registry.hasReferrers = true;
    const asked = `/v2/app/referrers/${digestOf(old)}`;
    registry.on(asked, (request, response) => {
      if (registry.asked(new RegExp(`^${asked}$`)).length > 1) json(response, 500, {});
      else registry.serve(request, response);
    });
    const { problems } = await cleanUp.apply(newest(1));
    expect(problems).toMatchObject([{ message: `what refers to ${digestOf(old)} cannot be read: answered 500` }]);
    expect(deletions()).toEqual([]);
  });

  test("a signature keeps what it is about", async () => {
    registry.hasReferrers = true;
    const signature = artifact("signature", { subject: old });
    registry.on(`/v2/app/referrers/${digestOf(old)}`, (request, response) => {
      if (registry.asked(/referrers\/sha256/).length > 4) registry.push("app", signature);
      registry.serve(request, response);
    });
    await cleanUp.apply(newest(1));
    expect([old, amd64, arm64, signature].every(has)).toBe(true);
  });

  test("so does one under its fallback tag", async () => {
    const signature = artifact("signature", { subject: old });
    afterPlan(() => registry.push("app", index([signature]), fallbackTagOf(old)).push("app", signature));
    await cleanUp.apply(newest(1));
    expect([old, amd64, arm64, signature].every(has)).toBe(true);
  });

  test("a tag that somebody deletes with its manifest is not put back", async () => {
    registry.push("app", single(3), "v3");
    atDeletion(old, "before", () => {
      app().manifests.delete(digestOf(single(2)));
      app().tags.delete("v2");
    });
    await cleanUp.apply(newest(2));
    expect(Object.keys(tags())).toEqual(["v3"]);
    expect(has(old)).toBe(false);
  });
});

describe("a registry that lists its packages", () => {
  const at = (ago: number) => new Date(Date.now() - ago).toISOString();
  let versions: { name: string; version: string; created_at: string; type: string }[];
  const list = (version: string, ago: number, name = "app") =>
    versions.push({ name, version, created_at: at(ago), type: "container" });
  const team = () => registry.repository("team/app");

  beforeEach(() => {
    versions = [];
    registry.on(/^\/api\/v1\/packages\/team\?/, (request, response) => {
      const { searchParams } = new URL(request.url ?? "", registry.url);
      const first = (Number(searchParams.get("page")) - 1) * 2;
      // The server decides on the size of a page.
      json(response, 200, versions.slice(first, first + 2), { "x-total-count": `${versions.length}` });
    });
    registry.push("team/app", old, "v1").push("team/app", single(2), "v2");
    list("v2", 20 * DAY);
    list("v1", 10 * DAY);
    for (const part of parts) list(digestOf(part), 10 * DAY);
  });

  test("is cleaned of what lost its tag, after a day in which a push may come to its end", async () => {
    for (const [n, ago] of [
      [5, 25 * HOUR],
      [6, 23 * HOUR],
    ] as const) {
      registry.push("team/app", single(n));
      list(digestOf(single(n)), ago);
    }
    const report = await cleanUp.plan(newest(2));
    expect(report).toMatchObject({
      untagged: "listed",
      remove: { tags: [], manifests: [{ repository: "team/app", digest: digestOf(single(5)) }] },
    });
    const { remove } = await cleanUp.plan(newest(2, { untaggedOlderThanHours: 1 }));
    expect(remove.manifests.map(({ digest }) => digest)).toEqual([single(5), single(6)].map(digestOf).sort());
  });

  test("is ordered by when its tags were pushed", async () => {
    const { kept } = await cleanUp.plan(newest(1));
    expect(kept).toMatchObject([{ tag: "v1" }]);
    const { kept: byDate } = await cleanUp.plan(newest(1, { order: "created" }));
    expect(byDate).toMatchObject([{ tag: "v2" }]);
  });

  test("tells tags apart that were pushed within a minute", async () => {
    versions = [];
    for (const n of [1, 2, 3]) {
      registry.push("team/app", single(n), `v${n}`);
      list(`v${n}`, 30_000 - n * 2000);
    }
    const { remove, doubts } = await cleanUp.plan(newest(1));
    expect({ tags: remove.tags.map(({ tag }) => tag), doubts }).toEqual({ tags: ["v1", "v2"], doubts: [] });
  });

  test("keeps a tag that it does not list yet", async () => {
    registry.push("team/app", single(3), "v3");
    const { kept } = await cleanUp.plan(newest(1));
    expect(kept).toMatchObject([{ tag: "v3" }]);
  });

  test("has the blobs of what goes held for an undo", async () => {
    await cleanUp.apply(newest(1));
    const held = registry.seen.filter(({ method, path }) => method === "POST" && path.includes("mount="));
    expect(held.map(({ path }) => new URLSearchParams(path.split("?")[1]).get("mount")).sort()).toEqual(
      single(2)
        .blobs.map(({ descriptor }) => descriptor.digest)
        .sort(),
    );
    expect([...team().tags.keys()]).toEqual(["v1"]);
  });

  test("and forgets an image when its tag moves: the tag is put back all the same, with the image that took it along", async () => {
    registry.push("team/app", single(3), "stable");
    list("stable", 30 * DAY);
    registry.on(`/v2/team/app/manifests/${digestOf(single(2))}`, (request, response) => {
      if (request.method === "DELETE") {
        team().tags.set("stable", digestOf(single(2)));
        team().manifests.delete(digestOf(single(3)));
      }
      registry.serve(request, response);
    });
    const { remaining, problems } = await cleanUp.apply(newest(1, { keep: ["stable"] }));
    expect(Object.fromEntries(team().tags)).toEqual({ stable: digestOf(single(2)), v1: digestOf(old) });
    expect(team().manifests.has(digestOf(single(2)))).toBe(true);
    expect({ remaining, problems }).toEqual({ remaining: [], problems: [] });
  });

  test("leaves a repository alone that has no tag, unless the rule says when untagged manifests go", async () => {
    registry.push("team/untagged", single(7));
    list(digestOf(single(7)), 10 * DAY, "untagged");
    const { skipped } = await cleanUp.plan(newest(1));
    expect(skipped).toEqual([{ repository: "team/untagged", reason: "no tag is in it" }]);
    const { remove } = await cleanUp.plan(newest(9, { untaggedOlderThanHours: 24 }));
    expect(remove.manifests).toEqual([{ repository: "team/untagged", digest: digestOf(single(7)) }]);
  });

  test("and does not show them to this account: that is said", async () => {
    registry.on(/^\/api\/v1\/packages\//, (_, response) => json(response, 403, { message: "forbidden" }));
    expect(await cleanUp.plan(newest(1))).toMatchObject({ untagged: "refused", kept: [{ tag: "v2" }] });
  });

  test("and ends the list early: nothing is planned", async () => {
    registry.on(/^\/api\/v1\/packages\/team\?.*page=2/, (_, response) => json(response, 502, {}));
    await expect(cleanUp.plan(newest(1))).rejects.toMatchObject({ code: "unreachable" });
  });
});

describe("an undo", () => {
  let journal: string;
  beforeEach(async () => {
    registry.push("app", old, "v1").push("app", single(2), "v2");
    journal = (await cleanUp.apply(newest(1))).journal ?? "";
  });

  test("leaves a tag that leads elsewhere by now", async () => {
    registry.push("app", single(3), "v1");
    const { restored, left } = await cleanUp.undo(journal);
    expect(left).toEqual([{ repository: "app", tag: "v1", digest: digestOf(single(3)) }]);
    expect(restored).toHaveLength(3);
    expect([old, amd64, arm64].every(has)).toBe(true);
  });

  test("says what the registry has collected by now", async () => {
    app().blobs.clear();
    const { problems } = await cleanUp.undo(journal);
    expect(problems.map(({ message }) => message).sort()[0]).toMatch(/answered 400 \(MANIFEST_BLOB_UNKNOWN\)$/);
    expect(problems).toHaveLength(3);
  });

  test("passes over a line that was cut short", async () => {
    appendFileSync(join(journal, "removed.jsonl"), '{"repository":"app","dig');
    expect((await cleanUp.undo(journal)).restored).toHaveLength(3);
  });

  test.each([
    ["a line that nobody has written", () => appendFileSync(join(journal, "removed.jsonl"), "{}\n")],
    ["other bytes", () => writeFileSync(join(journal, "manifests", digestOf(old).replace(":", "-")), "{}")],
  ])("refuses %s", async (_, spoil) => {
    spoil();
    await expect((async () => cleanUp.undo(journal))()).rejects.toMatchObject({ code: "not-found" });
    expect(has(old)).toBe(false);
  });

  test("refuses a folder that is no journal", async () => {
    await expect((async () => cleanUp.undo(cleanUp.journals))()).rejects.toMatchObject({
      message: `${cleanUp.journals} is no journal of a clean-up`,
    });
  });

  test("tells a registry that takes no pushes", async () => {
    registry.on(/\/manifests\/sha256/, (request, response) => {
      if (request.method === "PUT") json(response, 405, {});
      else registry.serve(request, response);
    });
    await expect(cleanUp.undo(journal)).rejects.toMatchObject({ code: "read-only" });
  });
});
