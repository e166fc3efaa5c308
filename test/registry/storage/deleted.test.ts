import { rmSync, utimesSync } from "node:fs";
import { deletedImages, type LoggedPush, pushesIn } from "../../../registry/storage/deleted";
import { StoreReader } from "../../../registry/storage/reader";
import { digestOf, image, multiPlatformImage } from "../../lab/images";
import { SyntheticStore } from "./synthetic-store";

const AT = Date.parse("2026-11-28T15:00:00Z");

test.each([
  [
    'time="2026-11-28T15:00:00Z" level=info msg="response completed" http.request.method=PUT http.request.uri="/v2/team/app/manifests/v1" http.response.status=201',
  ],
  [
    '{"http.request.method":"PUT","http.request.uri":"/v2/team/app/manifests/v1","http.response.status":201,"time":"2026-11-28T15:00:00Z"}',
  ],
  ['{"http.request.uri":"/v2/team/app/manifests/v1","http.request.method":"PUT","time":"2026-11-28T16:00:00+01:00"}'],
  ['10.0.0.1 - - [28/Nov/2026:15:00:00 +0000] "PUT /v2/team/app/manifests/v1 HTTP/1.1" 201 0 "" "docker/27"'],
  ['10.0.0.1 - - [28/Nov/2026:17:00:00 +0200] "PUT /v2/team/app/manifests/v1 HTTP/1.1" 201 0 "" "docker/27"'],
])("the log line %j tells a push", (line) => {
  expect(pushesIn(`noise\n${line}\n`)).toEqual([{ repository: "team/app", tag: "v1", at: AT }]);
});

test.each([
  'time="2026-11-28T15:00:00Z" http.request.method=GET http.request.uri="/v2/app/manifests/v1"',
  `time="2026-11-28T15:00:00Z" http.request.method=PUT http.request.uri="/v2/app/manifests/sha256:${"a".repeat(64)}"`,
  'http.request.method=PUT http.request.uri="/v2/app/manifests/v1"',
  '10.0.0.1 - - [28/Nov/2026:15:00:00 +0000] "PUT /v2/app/blobs/uploads/x HTTP/1.1" 201 0',
])("the log line %j tells none", (line) => expect(pushesIn(line)).toEqual([]));

describe("on the disk", () => {
  let store: SyntheticStore;
  beforeEach(() => {
    store = new SyntheticStore();
  });
  afterEach(() => store.remove());

  const [kept, lost] = [multiPlatformImage("kept"), multiPlatformImage("lost")];
  /** Removes an image as DELETE does. */
  const remove = (of: typeof lost, tag: string) => {
    rmSync(store.repository("app").revisionLink(digestOf(of)));
    rmSync(store.repository("app").tag(tag), { recursive: true });
  };
  const found = (...pushes: LoggedPush[]) =>
    deletedImages(new StoreReader(store.layout), pushes).map(({ digest, tags }) => ({ digest, tags }));

  test("an image is one, with its children and theirs, and what is kept is none", () => {
    store.push("app", kept, "v1").push("app", lost, "v2");
    expect(found()).toEqual([]);
    remove(lost, "v2");
    expect(found()).toEqual([{ digest: digestOf(lost), tags: [] }]);
  });

  test("an image of which a part is gone is none", () => {
    store.push("app", kept, "v1").push("app", lost, "v2");
    remove(lost, "v2");
    const [layer] = lost.manifests[1]?.blobs.slice(1) ?? [];
    rmSync(store.layout.blobData(digestOf(layer as (typeof lost.blobs)[0])));
    // The child for the other platform is still complete and linked: nobody deleted it.
    expect(found().map(({ digest }) => digest)).not.toContain(digestOf(lost));
  });

  test("a push that may be of two images tells nothing", () => {
    const second = image("second");
    store.push("app", lost, "v2").push("app", second, "v3");
    remove(lost, "v2");
    remove(second, "v3");
    for (const each of [lost, second]) utimesSync(store.layout.blobData(digestOf(each)), AT / 1000, AT / 1000);
    expect(found({ repository: "app", tag: "v2", at: AT }).map(({ tags }) => tags)).toEqual([[], []]);
  });

  test("a push by the log is that of the same repository, within moments", () => {
    store.push("app", image("other"), "v1").push("app", lost, "v2");
    remove(lost, "v2");
    utimesSync(store.layout.blobData(digestOf(lost)), AT / 1000, AT / 1000);
    const push = { repository: "app", tag: "v2", at: AT + 1500 };
    expect(found(push)).toEqual([{ digest: digestOf(lost), tags: ["v2"] }]);
    expect(found({ ...push, at: AT + 2500 })).toEqual([{ digest: digestOf(lost), tags: [] }]);
    // An existing tag has a history of its pushes.
    const later = `${store.repository("app").tagHistoryEntry("v1", digestOf(image("other")))}/link`;
    utimesSync(later, AT / 1000, AT / 1000);
    expect(found({ ...push, tag: "v1" })).toEqual([{ digest: digestOf(lost), tags: [] }]);
    expect(found({ ...push, repository: "app2" })).toEqual([{ digest: digestOf(lost), tags: [] }]);
  });
});
