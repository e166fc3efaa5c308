import { rmSync } from "node:fs";
import { RegistryClient } from "../../../registry/oci/client";
import { hiddenFailures, lostFolders } from "../../../registry/storage/hidden-damage";
import { StoreReader } from "../../../registry/storage/reader";
import { repair } from "../../../registry/storage/repair";
import { scan } from "../../../registry/storage/scan";
import { digestOf, image } from "../../lab/images";
import { FakeRegistry, json } from "../oci/fake-registry";
import { SyntheticStore } from "./synthetic-store";

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore().push("lost", image("lost"), "v1").push("never", image("never"));
  rmSync(store.repository("lost").tags, { recursive: true });
});
afterEach(() => store.remove());

const warned = (repository: string) => ({ repository, reason: "no-tags", status: 404 }) as const;

test("a repository without tags has lost them only where the disk says so", async () => {
  const { findings: found } = await scan(store.root);
  const findings = found.flatMap((each) => [
    each,
    { ...each, kind: "untagged-repository" as const, repository: "never" },
  ]);
  const failures = lostFolders([warned("lost"), warned("never"), warned("elsewhere")], findings);
  expect(failures).toMatchObject([{ repository: "lost", object: "repository", reason: "missing", status: 404 }]);
  expect(lostFolders([], findings)).toEqual([]);
});

test("a repair names a repository that lost its tags among what remains, and not one that never had any", async () => {
  const registry = await FakeRegistry.start();
  for (const name of ["lost", "never"]) {
    registry.push(name, image(name));
    registry.on(`/v2/${name}/tags/list`, (_, response) => json(response, 404, {}));
  }
  const client = new RegistryClient({ url: registry.url, credentials: null });
  const sources = { storage: new StoreReader(store.layout), from: null };
  const { remaining } = await repair(client, { sources, discard: [], writer: null });
  expect(remaining).toMatchObject([{ repository: "lost", object: "repository" }]);
  await Promise.all([client.close(), registry.stop()]);
});

test("what a walk has found is not told a second time", async () => {
  const made = image("half");
  store.push("half", made, "v1");
  rmSync(store.repository("half").revision(digestOf(made)), { recursive: true });
  const { findings } = await scan(store.root);
  const reader = new StoreReader(store.layout);
  const [loss] = hiddenFailures(reader, findings, []);
  expect(loss).toMatchObject({ repository: "half", object: "manifest", digest: digestOf(made), tags: ["v1"] });
  expect(hiddenFailures(reader, findings, loss === undefined ? [] : [loss])).toEqual([]);
});
