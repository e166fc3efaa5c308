import fc from "fast-check";
import { nextPage, readListing } from "../../../registry/oci/listing";
import { isTag } from "../../../registry/oci/reference";

const address = { origin: "http://registry.example:5000", path: "/v2/_catalog?n=3" };

test.each([
  ["none", undefined, null],
  [
    "relative, percent-encoded",
    '</v2/_catalog?last=p%2Fr001&n=3>; rel="next"',
    "http://registry.example:5000/v2/_catalog?last=p%2Fr001&n=3",
  ],
  [
    "absolute",
    '<http://registry.example:5000/v2/_catalog?last=a>; rel="next"',
    "http://registry.example:5000/v2/_catalog?last=a",
  ],
  ["without quotes", "</v2/x>; rel=next", "http://registry.example:5000/v2/x"],
  ["of another relation", '</v2/x>; rel="prev"', null],
  ["after another one", '</v2/x>; rel="prev", </v2/y>; rel="next"', "http://registry.example:5000/v2/y"],
  ["in several lines", ['</v2/x>; rel="prev"', '</v2/y>; rel="next"'], "http://registry.example:5000/v2/y"],
  [
    "of another scheme, as a registry writes it that does not know of its reverse proxy's TLS",
    '<https://registry.example:5000/v2/x?last=a>; rel="next"',
    "http://registry.example:5000/v2/x?last=a",
  ],
  [
    "to a path that looks like a host",
    '<http://registry.example:5000//other.example/x>; rel="next"',
    "http://registry.example:5000//other.example/x",
  ],
  [
    "to another host, which the registry calls itself by",
    '<http://other.example/v2/x?last=b>; rel="next"',
    "http://registry.example:5000/v2/x?last=b",
  ],
  ["to another port", '<http://registry.example/v2/x>; rel="next"', "http://registry.example:5000/v2/x"],
  ["to no address", '<http://[>; rel="next"', "unusable"],
  ["to another protocol", '<file:///etc/passwd>; rel="next"', "unusable"],
])("a link that is %s", (_name, link, expected) => {
  expect(String(nextPage({ ...address, headers: { link } }))).toBe(String(expected));
});

test("names that come twice count once", async () => {
  const pages = [
    { tags: ["a", "b"], link: '</v2/p>; rel="next"' },
    { tags: ["b", "c"], link: undefined },
  ];
  let at = 0;
  const listing = await readListing("tags", isTag, async () => {
    const { tags, link } = pages[at++] as (typeof pages)[number];
    const body = Buffer.from(JSON.stringify({ tags }));
    return { ...address, status: 200, headers: { link }, body, received: body.length };
  });
  expect(listing).toEqual({ names: ["a", "b", "c"], failure: null });
});

/** Reads a listing with these pages; the last link leads nowhere. */
const listingOf = async (pages: readonly (readonly string[])[], links: readonly string[]) => {
  let at = 0;
  return readListing("tags", isTag, async () => {
    const body = Buffer.from(JSON.stringify({ tags: pages[at] ?? [] }));
    const link = links[at++];
    return {
      ...address,
      status: 200,
      headers: { link: link === undefined ? undefined : `<${link}>; rel="next"` },
      body,
      received: body.length,
    };
  });
};

test("every name of pages that are empty, short or repeated is read, as long as the links are new", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.constantFrom("a", "b", "c", "d"))), async (pages) => {
      const links = pages.slice(1).map((_page, at) => `/v2/x?last=${at}`);
      expect(await listingOf(pages, links)).toEqual({ names: [...new Set(pages.flat())], failure: null });
    }),
  );
});

test("a page that is asked for again ends the listing where nothing new came in between", async () => {
  const listing = await listingOf([["a"], [], ["b"], [], [], []], ["/x?1", "/x?2", "/x?1", "/x?2", "/x?1"]);
  expect(listing).toMatchObject({ names: ["a", "b"], failure: { reason: "malformed" } });
});

test("a listing is cut off at a million names", async () => {
  const PAGE = 250_000;
  let pages = 0;
  const { names, failure } = await readListing("tags", isTag, async () => {
    const body = Buffer.from(JSON.stringify({ tags: Array.from({ length: PAGE }, (_, at) => `${pages * PAGE + at}`) }));
    const headers = ++pages < 6 ? { link: `</v2/x?last=${pages}>; rel="next"` } : {};
    return { ...address, status: 200, headers, body, received: body.length };
  });
  expect(pages).toBe(4);
  expect(names).toHaveLength(1_000_000);
  expect(failure).toMatchObject({ reason: "malformed", detail: "the list of tags has more than 1000000 names" });
});
