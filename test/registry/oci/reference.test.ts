import fc from "fast-check";
import { sha256 } from "../../../registry/oci/digest";
import { isRepository, isTag, parseRegistry, parseTarget } from "../../../registry/oci/reference";

const DIGEST = sha256("x");

test.each([
  ["https://registry.example.org", "https://registry.example.org"],
  ["http://registry.example.org:5000/", "http://registry.example.org:5000"],
  ["https://registry.example.org/v2/", "https://registry.example.org"],
  ["registry.example.org", "https://registry.example.org"],
  ["registry.example.org:5050", "https://registry.example.org:5050"],
  ["10.0.20.10:5050", "https://10.0.20.10:5050"],
  ["registry:5000", "https://registry:5000"],
  ["localhost", "http://localhost"],
  ["localhost:5000", "http://localhost:5000"],
  ["127.0.0.1:5000", "http://127.0.0.1:5000"],
  ["127.8.8.8:5000/", "http://127.8.8.8:5000"],
  ["[::1]:5000", "http://[::1]:5000"],
  ["[2001:db8::1]:5000", "https://[2001:db8::1]:5000"],
])("%s is a registry at %s", (text, origin) => {
  const target = parseTarget(text);
  expect(target.kind).toBe("registry");
  expect(target.url.origin).toBe(origin);
});

test.each([
  ["registry.example.org/app", "app", null, null],
  ["registry.example.org:5050/infra/ci:latest", "infra/ci", "latest", null],
  [`localhost:5000/a/b@${DIGEST}`, "a/b", null, DIGEST],
  [`localhost:5000/a/b:v1@${DIGEST}`, "a/b", "v1", DIGEST],
  ["localhost/app", "app", null, null],
])("%s is an image", (text, repository, tag, digest) => {
  expect(parseTarget(text)).toMatchObject({ kind: "image", repository, tag, digest });
});

test.each([
  ["nothing", ""],
  ["a name without a host", "alpine"],
  ["a repository without a host", "library/alpine"],
  ["another scheme", "ftp://registry.example.org"],
  ["a url with a path", "https://registry.example.org/app"],
  ["a url with a query", "https://registry.example.org/?n=1"],
  ["an upper-case repository", "localhost:5000/App"],
  ["a bad tag", "localhost:5000/app:-x"],
  ["an empty tag", "localhost:5000/app:"],
  ["a short digest", "localhost:5000/app@sha256:abc"],
  ["a port that is none", "registry.example.org:99999"],
  ["white space", "registry.example .org"],
  ["a back slash", "registry.example.org\\x:5000"],
])("%s is refused in one line with its hint", (_name, text) => {
  expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: "bad-input", hint: expect.any(String) }));
  expect(() => parseTarget(text)).toThrow(/^[^\n]+$/);
});

test("credentials in a url are refused without being repeated", () => {
  expect(() => parseTarget("https://user:hunter2@registry.example.org")).toThrow(
    expect.objectContaining({ code: "bad-input", message: expect.not.stringContaining("hunter2") }),
  );
});

test("an image is no registry", () => {
  expect(() => parseRegistry("localhost:5000/app")).toThrow(/an image where a registry is needed/);
});

test("what is accepted as a name never leaves its place in a path", () => {
  const part = fc.stringMatching(/^[a-zA-Z0-9._/%?#@:\\ -]{0,40}$/);
  fc.assert(
    fc.property(part, part, (repository, tag) => {
      if (!isRepository(repository) || !isTag(tag)) return;
      const path = `/v2/${repository}/manifests/${tag}`;
      expect(new URL(path, "http://registry.example").pathname).toBe(path);
    }),
    { numRuns: 2000 },
  );
});
