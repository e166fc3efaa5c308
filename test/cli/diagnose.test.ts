import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { type Content, digestOf, image } from "../lab/images";
import { type FakeRegistry, json } from "../registry/oci/fake-registry";
import { startFakeRegistry } from "../registry/oci/registry-of-test";
import { SyntheticStore, write } from "../registry/storage/synthetic-store";
import { runWarden } from "./run-warden";

const pushed = image("app");
const [, firstLayer] = pushed.blobs as [Content, Content];

let registry: FakeRegistry;
let store: SyntheticStore;
beforeEach(async () => {
  registry = (await startFakeRegistry()).push("app", pushed, "v1");
  store = new SyntheticStore().push("app", pushed, "v1");
});
afterEach(() => {
  store.remove();
});

const diagnose = async () => {
  const { code, out, err } = await runWarden("diagnose", registry.host, store.root, "--json");
  return { code, err, ...JSON.parse(out) };
};
const layerPath = () => `/v2/app/blobs/${digestOf(firstLayer)}`;

test("both intact: exit code 0", async () => {
  expect(await diagnose()).toEqual({
    code: 0,
    err: "",
    version: 1,
    registry: registry.url.origin,
    root: store.root,
    complete: true,
    findings: [],
  });
});

test("a blob that the disk has and the registry does not: its cache is stale", async () => {
  registry.on(layerPath(), (_, response) => json(response, 404, {}));
  expect(await diagnose()).toMatchObject({
    code: 1,
    findings: [
      {
        repository: "app",
        tags: ["v1"],
        digest: digestOf(firstLayer),
        http: { object: "layer", reason: "missing", status: 404 },
        disk: null,
        cause: "stale blob cache",
        remedy: "restart",
        next: "docker restart REGISTRY-CONTAINER",
        why: expect.stringMatching(/^restart the registry: /),
        giveUp: null,
      },
    ],
  });
});

test("a blob that the registry has and the disk does not: a cache answers", async () => {
  rmSync(store.layout.blobData(digestOf(firstLayer)));
  expect(await diagnose()).toMatchObject({ findings: [{ http: null, cause: "stale blob cache" }] });
});

test("an empty catalog in front of a full disk: another registry answers", async () => {
  registry.on(/^\/v2\/_catalog/, (_, response) => json(response, 200, { repositories: [] }));
  registry.on(/^\/v2\/app\//, (_, response) => json(response, 404, {}));
  const { findings } = await diagnose();
  expect(findings).toMatchObject(
    Array(2).fill({
      cause: "another registry",
      remedy: "other-address",
      next: `warden diagnose REGISTRY ${store.root}`,
    }),
  );
});

test("a file among the tags: the registry lists it, and it is named", async () => {
  const { tags } = store.repository("app");
  write(`${tags}/odd one`, "");
  registry.on("/v2/app/tags/list", (_, response) => json(response, 200, { name: "app", tags: ["v1", "odd one"] }));
  expect(await diagnose()).toMatchObject({
    findings: [
      {
        repository: "app",
        cause: "foreign entry",
        next: `mv -nT -- '${tags}/odd one' '${store.root}/set-aside-odd one'`,
      },
    ],
  });
});

test("a tag that leads where it was never pushed has lost its link", async () => {
  write(store.repository("app").tagLink("v1"), `sha256:${"f".repeat(64)}`);
  registry.on("/v2/app/manifests/v1", (_, response) => json(response, 404, {}));
  expect(await diagnose()).toMatchObject({ findings: [{ disk: { kind: "broken-tag" }, cause: "lost link" }] });
});

test("a tag that leads to no manifest has lost its link", async () => {
  write(store.repository("app").tagLink("v1"), digestOf(firstLayer));
  registry.on("/v2/app/manifests/v1", (_, response) => json(response, 500, {}));
  expect(await diagnose()).toMatchObject({
    findings: [
      { disk: { kind: "unreadable-manifest" }, cause: "lost link", next: expect.stringMatching(/repair .* --apply$/) },
    ],
  });
});

test("a manifest with several tags is reported once", async () => {
  store.push("app", pushed, "v2");
  registry.push("app", pushed, "v2").on(/\/manifests\//, (_, response) => json(response, 404, {}));
  rmSync(store.repository("app").revisionLink(digestOf(pushed)));
  expect(await diagnose()).toMatchObject({ findings: [{ tags: ["v1", "v2"], cause: "lost link" }] });
});

test("leftovers on the disk are reported with their next step", async () => {
  const orphan = `sha256:${"a".repeat(64)}` as const;
  write(store.repository("app").layerLink(orphan), orphan);
  write(store.repository("app").uploadStarted("old"), "2020-01-01T00:00:00Z");
  const unreadable = `sha256:${"b".repeat(64)}` as const;
  write(store.repository("app").layerLink(unreadable), "");
  store.push("app", image("untagged"));
  rmSync(store.layout.blobData(digestOf(image("untagged"))));
  expect((await diagnose()).findings).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ cause: "swept blob", next: `warden scan ${store.root} --fix-layer-links` }),
      expect.objectContaining({ digest: unreadable, next: expect.stringContaining("--discard") }),
      expect.objectContaining({
        cause: "abandoned upload",
        next: `rm -r -- ${store.repository("app").upload("old")}`,
      }),
      expect.objectContaining({ digest: digestOf(image("untagged")), next: expect.stringContaining("--discard") }),
    ]),
  );
});

test("what cannot be checked is not reported as lost", async () => {
  registry.on(layerPath(), (_, response) => json(response, 403, {}));
  expect(await diagnose()).toMatchObject({ code: 1, complete: false, findings: [{ cause: "not reached" }] });
});

test("the table names the cause and each step once", async () => {
  registry.on(/\/blobs\//, (_, response) => json(response, 404, {}));
  const { code, out } = await runWarden("diagnose", registry.host, store.root);
  expect(code).toBe(1);
  expect(out).toMatch(/^stale blob cache {2}restart {2}app:v1 {2}- +sha256:[0-9a-f]{12} {2}layer missing +-$/m);
  expect(out.match(/^next .*/gm)).toEqual(["next      docker restart REGISTRY-CONTAINER"]);
});

test("a registry that is down, a store that is not there: exit code 2", async () => {
  await registry.stop();
  expect(await runWarden("diagnose", "127.0.0.1:9", store.root)).toMatchObject({ code: 2, out: "" });
  expect(await runWarden("diagnose", "127.0.0.1:9", `${store.root}/nothing`)).toMatchObject({ code: 2, out: "" });
  registry = await startFakeRegistry();
});

test("what a repair looked for elsewhere in vain is given up, and a day later looked for again", async () => {
  rmSync(store.layout.blobData(digestOf(firstLayer)));
  registry.on(layerPath(), (_, response) => json(response, 404, {}));
  expect(await diagnose()).toMatchObject({
    findings: [
      {
        cause: "swept blob",
        remedy: "copy",
        next: `warden repair ${registry.url.origin} --storage ${store.root} --from OTHER-REGISTRY --apply`,
        giveUp: `warden repair ${registry.url.origin} --storage ${store.root} --discard ${registry.host}/app:v1 --apply`,
      },
    ],
  });
  const sought = (at: number) =>
    write(
      `${store.layout.warden}/sought.json`,
      JSON.stringify({ at, from: "https://mirror.example.org", names: [`app@${digestOf(firstLayer)}`] }),
    );
  sought(Date.now());
  expect(await diagnose()).toMatchObject({
    findings: [
      {
        remedy: "give-up",
        next: expect.stringContaining("--discard"),
        why: expect.stringMatching(/^cannot be healed here, nor from https:\/\/mirror.example.org: rebuild /),
      },
    ],
  });
  sought(Date.now() - 25 * 3_600_000);
  expect(await diagnose()).toMatchObject({ findings: [{ remedy: "copy" }] });
  write(`${store.layout.warden}/sought.json`, "[]");
  expect(await diagnose()).toMatchObject({ findings: [{ remedy: "copy" }] });
});

test("a name that a shell would run is one word of the command", async () => {
  const odd = "a;touch x;b $(id) 'c' \u001b[2J";
  const { tags } = store.repository("app");
  write(`${tags}/${odd}`, "");
  registry.on("/v2/app/tags/list", (_, response) => json(response, 200, { name: "app", tags: ["v1", odd] }));
  const { findings } = await diagnose();
  const words = execFileSync("bash", ["-c", `printf '%s\\0' ${findings[0].next}`], { encoding: "utf8" }).split("\0");
  expect(words).toEqual(["mv", "-nT", "--", `${tags}/${odd}`, `${store.root}/set-aside-${odd}`, ""]);
  expect(findings[0].next).not.toContain("\u001b");
});

test("what only hashing finds is healed and given up by hashing", async () => {
  const data = store.layout.blobData(digestOf(firstLayer));
  write(data, Buffer.alloc(firstLayer.bytes.length, "x"));
  const { out } = await runWarden("diagnose", registry.host, store.root, "--hash", "--json");
  const [finding] = JSON.parse(out).findings;
  expect(finding).toMatchObject({
    cause: "altered data",
    remedy: "copy",
    next: expect.stringContaining(" --hash --apply"),
  });
  const [, ...words] = finding.giveUp.split(" ");
  const { code, out: done } = await runWarden(...words, "--json");
  expect([code, JSON.parse(done)]).toMatchObject([
    expect.any(Number),
    { actions: [{ action: "discard", tags: ["v1"] }] },
  ]);
  // Left in place it would block a push of the right bytes, so it was moved to the journal.
  expect(existsSync(data)).toBe(false);
  expect(existsSync(`${JSON.parse(done).journal}/${data.slice(store.root.length)}`)).toBe(true);
});
