import fc from "fast-check";
import type { RegistryClient } from "../../../registry/oci/client";
import { sha256 } from "../../../registry/oci/digest";
import { fallbackTag, fallbackTagIn, MOST_REFERRERS, ReferrersApi } from "../../../registry/oci/referrers";
import { artifact, image, index, type SyntheticManifest } from "../../lab/images";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("../../../registry/oci/referrers", () => ({
  ...jest.requireActual("../../../registry/oci/referrers"),
  MOST_REFERRERS: 20,
}));

test("the fallback tag of a digest is told from other tags, with cosign's suffixes or without", () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom("", ".sig", ".att", ".sbom"), (text, suffix) => {
      const digest = sha256(text);
      expect(fallbackTag(digest)).toBe(digest.replace(":", "-"));
      expect(fallbackTagIn(`${fallbackTag(digest)}${suffix}`)).toBe(fallbackTag(digest));
    }),
  );
  // A longer digest is truncated: specification, "Referrers Tag Schema".
  expect(fallbackTag(`sha512:${"a".repeat(128)}`)).toBe(`sha512-${"a".repeat(64)}`);
  for (const other of ["latest", "sha256-abc", `feature-${"a".repeat(64)}`, `sha256-${"a".repeat(65)}`]) {
    expect(fallbackTagIn(other)).toBeNull();
  }
});

describe("a chain of referrers without an end", () => {
  let registry: FakeRegistry;
  beforeEach(async () => {
    registry = await startFakeRegistry();
    registry.push("app", image("app"), "v1");
  });

  let made = 0;
  /** A new signature for whatever is asked for. */
  const another = (): SyntheticManifest => {
    const signature = artifact(`signature ${made++}`);
    registry.push("app", signature);
    return signature;
  };
  const options = { catalog: false, repositories: ["app"], selection: { kind: "named", tags: ["v1"] } } as const;
  const endless = [
    { object: "repository", reason: "malformed", detail: `more than ${MOST_REFERRERS} manifests refer to others` },
  ];

  test("ends, listed by the API", async () => {
    registry.on(/referrers/, (_request, response) => {
      json(response, 200, { schemaVersion: 2, manifests: [another().descriptor] });
    });
    expect((await verify(registry.url, options)).failures).toMatchObject(endless);
  });

  test("ends, under fallback tags", async () => {
    const tags = new Set<string>();
    registry.on(/manifests\/sha256-/, (request, response) => {
      const tag = request.url?.split("/").at(-1) ?? "";
      registry.push("app", index([another()]), tag);
      tags.add(tag);
      registry.serve(request, response);
    });
    expect((await verify(registry.url, options)).failures).toMatchObject(endless);
    expect(tags.size).toBe(MOST_REFERRERS + 1);
  });
});

test("a list of one subject's referrers is cut off where no subject has more", async () => {
  const PAGE = 30_000;
  const descriptor = { digest: sha256("x"), size: 1 };
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: Array(PAGE).fill(descriptor) }));
  let pages = 0;
  const client = {
    referrers: async () => ({
      origin: "http://registry.example",
      path: "/v2/app/referrers/x",
      status: 200,
      headers: ++pages < 6 ? { link: `</v2/app/referrers/x?last=${pages}>; rel="next"` } : {},
      body,
      received: body.length,
    }),
  } as unknown as RegistryClient;
  const api = new ReferrersApi(client);
  // Whoever answers the first question like that is taken for a server without the API.
  expect(await api.of("app", sha256("x"))).toBeNull();
  expect(pages).toBe(4);
});
