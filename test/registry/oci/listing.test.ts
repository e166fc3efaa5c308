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
    "of another scheme, as a registry writes it that does not know of its front's TLS",
    '<https://registry.example:5000/v2/x?last=a>; rel="next"',
    "http://registry.example:5000/v2/x?last=a",
  ],
  [
    "to a path that looks like a host",
    '<http://registry.example:5000//other.example/x>; rel="next"',
    "http://registry.example:5000//other.example/x",
  ],
  ["to another host", '<http://other.example/v2/x>; rel="next"', "foreign"],
  ["to another port", '<http://registry.example/v2/x>; rel="next"', "foreign"],
  ["to no address", '<http://[>; rel="next"', "foreign"],
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
  expect(listing).toEqual({ names: ["a", "b", "c"], fault: null });
});
