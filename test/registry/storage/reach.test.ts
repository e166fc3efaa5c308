import type { Digest } from "../../../registry/oci/digest";
import { Reach } from "../../../registry/storage/reach";

const digest = (name: string): Digest => `sha256:${name}`;

test("the shortest way counts, then the lowest tag, then the lowest parent", () => {
  const reach = new Reach();
  reach.tag("v2", digest("two"));
  reach.tag("v1", digest("one"));
  reach.refer(digest("two"), digest("child"), "linux/arm64");
  reach.refer(digest("one"), digest("child"), "linux/amd64");
  reach.refer(digest("one"), digest("inner"), null);
  reach.refer(digest("inner"), digest("child"), "linux/s390x");
  reach.refer(digest("child"), digest("layer"), null);
  expect(reach.wayTo(digest("child"))).toEqual({ parent: digest("one"), platform: "linux/amd64" });
  expect(reach.wayTo(digest("layer"))).toEqual({ parent: digest("child"), platform: "linux/amd64" });
  expect(reach.wayTo(digest("one"))).toEqual({ parent: null, platform: null });
  expect(reach.tagsTo(digest("layer"))).toEqual(["v1", "v2"]);
});

test("what no tag leads to has the way from the index that names it", () => {
  const reach = new Reach();
  reach.tag("v1", digest("tagged"));
  reach.refer(digest("untagged"), digest("child"), "linux/amd64");
  reach.refer(digest("child"), digest("layer"), null);
  expect(reach.wayTo(digest("layer"))).toEqual({ parent: digest("child"), platform: "linux/amd64" });
  expect(reach.wayTo(digest("unknown"))).toEqual({ parent: null, platform: null });
});

test("a graph whose ways are as many as 2 to the power of 60 takes no time", () => {
  const reach = new Reach();
  reach.tag("v1", digest("a0"));
  for (let level = 0; level < 60; level++) {
    for (const from of ["a", "b"]) {
      for (const to of ["a", "b"]) reach.refer(digest(`${from}${level}`), digest(`${to}${level + 1}`), null);
    }
  }
  expect(reach.wayTo(digest("b60"))).toEqual({ parent: digest("a59"), platform: null });
});
