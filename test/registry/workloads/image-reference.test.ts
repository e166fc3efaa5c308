import fc from "fast-check";
import { sha256 } from "../../../registry/oci/digest";
import {
  parseImageId,
  parseImageReference,
  registryName,
  registryNameOf,
} from "../../../registry/workloads/image-reference";

const DIGEST = sha256("app");

describe("an image reference", () => {
  test.each([
    ["nginx", ["docker.io", "library/nginx", "latest", null]],
    ["nginx:1.28", ["docker.io", "library/nginx", "1.28", null]],
    ["team/app", ["docker.io", "team/app", "latest", null]],
    ["index.docker.io/nginx", ["docker.io", "library/nginx", "latest", null]],
    ["registry.example.org/app", ["registry.example.org", "app", "latest", null]],
    ["registry.example.org:443/app:v1", ["registry.example.org", "app", "v1", null]],
    ["registry.example.org:5000/team/app:v1", ["registry.example.org:5000", "team/app", "v1", null]],
    ["Registry.Example.ORG:5000/team/app:V1", ["registry.example.org:5000", "team/app", "V1", null]],
    ["REGISTRY/app", ["registry", "app", "latest", null]],
    ["localhost/app", ["localhost", "app", "latest", null]],
    ["10.0.20.10:5050/infra-ci:latest", ["10.0.20.10:5050", "infra-ci", "latest", null]],
    ["[2001:db8::1]:5000/app", ["[2001:db8::1]:5000", "app", "latest", null]],
    [`registry.example.org/app@${DIGEST}`, ["registry.example.org", "app", null, DIGEST]],
    [`registry.example.org/app:v1@${DIGEST}`, ["registry.example.org", "app", null, DIGEST]],
  ])("%s", (text, [host, repository, tag, digest]) => {
    expect(parseImageReference(text)).toEqual({ host, repository, tag, digest });
  });

  test.each([
    "",
    "registry.example.org/",
    "registry.example.org/App",
    "registry.example.org/../app",
    "registry.example.org//app",
    "registry.example.org/app:",
    "registry.example.org/app:v1:v2",
    "registry.example.org/app@latest",
    "registry.example.org/app@sha256:short",
    "registry.example.org:port/app",
    "user@registry.example.org/app",
    "https://registry.example.org/app",
    " registry.example.org/app",
    "registry.example.org/app:v1\n",
    `registry.example.org/${"a/".repeat(1000)}app`,
  ])("that no runtime could pull is none: %j", (text) => {
    expect(parseImageReference(text)).toBeNull();
  });

  const part = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?$/);
  const host = fc.oneof(
    fc.constant("localhost"),
    fc.tuple(part, part).map(([a, b]) => `${a.replaceAll(/[._]/g, "-")}.${b.replaceAll(/[._]/g, "-")}`),
    fc
      .tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.integer({ min: 1, max: 65535 }))
      .map(([name, port]) => `${name}:${port}`),
  );
  const repository = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const tag = fc.stringMatching(/^\w[\w.-]{0,20}$/);

  test("is what it was made of, whatever the case of its host", () => {
    fc.assert(
      fc.property(host, repository, fc.option(tag), fc.boolean(), fc.boolean(), (at, name, label, pinned, upper) => {
        const text = `${upper ? at.toUpperCase() : at}/${name}${label === null ? "" : `:${label}`}${pinned ? `@${DIGEST}` : ""}`;
        expect(parseImageReference(text)).toEqual({
          host: at.replace(/:443$/, ""),
          repository: name,
          tag: pinned ? null : (label ?? "latest"),
          digest: pinned ? DIGEST : null,
        });
      }),
    );
  });

  test("of any other text is none, or one whose parts may be asked for", () => {
    fc.assert(
      fc.property(fc.anything(), (text) => {
        const found = parseImageReference(text);
        if (found !== null) expect(parseImageReference(`${found.host}/${found.repository}`)).not.toBeNull();
      }),
    );
  });
});

describe("the name of a registry", () => {
  test.each([
    ["https://Registry.example.org", "registry.example.org"],
    ["https://registry.example.org:5050", "registry.example.org:5050"],
    ["http://registry.example.org", "registry.example.org:80"],
    ["http://127.0.0.1:5000", "127.0.0.1:5000"],
  ])("at %s is %s", (url, name) => {
    expect(registryNameOf(new URL(url))).toBe(name);
    expect(registryName(name)).toBe(name);
  });

  test.each(["", "a/b", "a b", "https://a", "-a.example"])("is not %j", (text) => {
    expect(registryName(text)).toBeNull();
  });
});

describe("what a node says that it runs", () => {
  test.each([
    [`registry.example.org:5000/app@${DIGEST}`, { digest: DIGEST, isManifest: true }],
    [`docker-pullable://registry.example.org/app@${DIGEST}`, { digest: DIGEST, isManifest: true }],
    [`docker://${DIGEST}`, { digest: DIGEST, isManifest: false }],
    [DIGEST, { digest: DIGEST, isManifest: false }],
    ["", null],
    ["registry.example.org/app:v1", null],
    [undefined, null],
    [`app@${DIGEST}${"0".repeat(2000)}`, null],
  ])("%s", (text, runs) => {
    expect(parseImageId(text)).toEqual(runs);
  });
});
