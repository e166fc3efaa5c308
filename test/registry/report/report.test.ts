import fc from "fast-check";
import { type Digest, sha256 } from "../../../registry/oci/digest";
import { type Failure, OBJECTS, REASONS } from "../../../registry/oci/failure";
import type { BrokenImage } from "../../../registry/oci/images";
import type { Report } from "../../../registry/oci/walk";
import { htmlPage as pageOf } from "../../../registry/report/html";
import { junit as junitOf } from "../../../registry/report/junit";
import { formatBytes, nextCommands, reportTable, worstFirst } from "../../../registry/report/table";
import { anyCharacter } from "../../any-character";

const INDEX = sha256("index");
const CHILD = sha256("child");

const failure = (changes: Partial<Failure> = {}): Failure => ({
  repository: "infra/ci",
  tags: ["latest", "v1"],
  digest: CHILD,
  object: "manifest",
  reason: "missing",
  status: 404,
  platform: "linux/arm64",
  path: [INDEX, CHILD],
  detail: "answered 404",
  ...changes,
});

const ABOUT = {
  warden: "1.2.3",
  started: "2026-04-19T03:15:00.000Z",
  options: { role: "private", repository: [], tag: ["v1", "v2"] },
};
const page = (of: Report): string => pageOf(of, ABOUT);
const junit = (of: Report): string => junitOf(of, ABOUT);

const broken = (changes: Partial<BrokenImage> = {}): BrokenImage => ({
  repository: "infra/ci",
  tags: ["latest", "v1"],
  digest: INDEX,
  platforms: [
    { platform: "linux/amd64", whole: true },
    { platform: "linux/arm64", whole: false },
  ],
  ...changes,
});

const report = (failures: Failure[] = [], changes: Partial<Report> = {}): Report => ({
  started: "2026-04-19T03:15:00.000Z",
  images: { whole: 2, broken: [] },
  registry: "https://registry.example.org:5050",
  complete: true,
  counts: { repositories: 1, tags: 2, manifests: 2, indexes: 1, blobs: 1234, requests: 1300, bytes: 5_000_000 },
  durationSeconds: 2.5,
  failures,
  warnings: [],
  blobs: { asked: "last-byte", used: "last-byte", because: null },
  stopped: null,
  catalogRead: true,
  ...changes,
});

describe("the table", () => {
  test("of a healthy registry says what was checked, and that nothing is broken", () => {
    expect(reportTable(report())).toEqual([
      "registry  https://registry.example.org:5050",
      "checked   1 repository, 2 tags, 1 index, 2 manifests, 1,234 blobs (2.5 s, 1,300 requests, 4.8 MiB)",
      "result    nothing broken",
    ]);
  });

  test("of a broken one names the object, where it stands, and the next command", () => {
    const lines = reportTable(report([failure()]));
    expect(lines).toContain("result    1 failure");
    expect(lines.find((line) => line.startsWith("missing"))).toBe(
      `missing  manifest  infra/ci:latest (+1)  linux/arm64  sha256:${CHILD.slice(7, 19)}  answered 404`,
    );
    expect(lines.at(-1)).toMatch(/^next +warden diagnose https:\/\/registry.example.org:5050 /);
  });

  test("of an incomplete one says so, and why", () => {
    const stopped = { code: "deadline", message: "the deadline passed", hint: "more time" };
    expect(reportTable(report([], { complete: false, stopped }))).toEqual(
      expect.arrayContaining([expect.stringContaining("incomplete"), "stopped   the deadline passed"]),
    );
  });

  test("is cut where a log asks for it, and says how much is missing", () => {
    const lines = reportTable(report([failure(), failure({ tags: ["v2"] }), failure({ tags: ["v3"] })]), 2);
    expect(lines).toContain("... and 1 more failure");
  });

  test("shows the worst first: by reason, then by how many tags it takes along", () => {
    const slow = failure({ reason: "timeout" });
    const one = failure({ tags: ["v1"] });
    const two = failure();
    expect(worstFirst([slow, one, two])).toEqual([two, one, slow]);
  });

  test.each([
    ["missing", /diagnose/],
    ["coverage", /_catalog/],
    ["unauthorized", /docker login/],
    ["timeout", /--timeout/],
  ] as const)("has a next command for %s", (reason, command) => {
    expect(nextCommands(report([failure({ reason })])).join()).toMatch(command);
  });

  test("shows what it cannot print, in columns that stay in line", () => {
    const detail = "\u001b[2J\u0007 evil \u009b\u202e";
    const lines = reportTable(report([failure({ detail }), failure()]));
    expect(lines.some((line) => line.endsWith("\\x1b[2J\\x07 evil \\x9b\\u{202e}"))).toBe(true);
  });

  test("answers first which images cannot be pulled, on which platforms", () => {
    const images = { whole: 118, broken: [broken(), broken({ tags: ["v9"], digest: null, platforms: [] })] };
    const lines = reportTable(report([failure()], { images }));
    expect(lines).toContain("images    2 of 120 images cannot be pulled, or not on every platform");
    const rows = lines.slice(lines.findIndex((line) => line.startsWith("IMAGE")));
    expect(rows.slice(0, 3)).toEqual([
      "IMAGE                 CANNOT BE PULLED  CAN BE PULLED",
      "infra/ci:latest (+1)  linux/arm64       linux/amd64",
      "infra/ci:v9           all of it         -",
    ]);
    expect(lines.findIndex((line) => line.startsWith("IMAGE"))).toBeLessThan(
      lines.findIndex((line) => line.startsWith("REASON")),
    );
    expect(reportTable(report([failure()], { images }), 1)).toContain("... and 1 more image");
  });

  test("keeps the failures of a repository together, and counts them at the end as well", () => {
    const failures = Array.from({ length: 30 }, (_, at) => failure({ repository: `r${at % 3}`, tags: [`v${at}`] }));
    const lines = reportTable(report(failures));
    const names = lines.flatMap((line) => /^missing +manifest +(r\d):/.exec(line)?.[1] ?? []);
    expect(names).toEqual([...names].sort());
    expect(lines).toContain("30 failures in 3 repositories");
  });

  test("names a repository without tags, beside the failures", () => {
    const warnings = [{ repository: "lost", reason: "no-tags", status: 404 }] as const;
    const lines = reportTable(report([], { warnings: [...warnings] }));
    expect(lines).toContain("warning   lost is listed and has no tags (404): never tagged, or its tags are lost");
    expect(lines).toContain("result    nothing broken");
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [3 * 1024 ** 3, "3.0 GiB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

const anyFailure: fc.Arbitrary<Failure> = fc.record({
  repository: fc.string(),
  tags: fc.array(fc.string()),
  digest: fc.option(fc.constantFrom<Digest>(INDEX, CHILD)),
  object: fc.constantFrom(...OBJECTS),
  reason: fc.constantFrom(...REASONS),
  status: fc.option(fc.nat()),
  platform: fc.option(fc.string()),
  path: fc.array(fc.constantFrom<Digest>(INDEX, CHILD)),
  detail: fc.string({ unit: anyCharacter }),
});

describe("JUnit XML", () => {
  test("has a failed case for each failure, and a case for the walk", () => {
    const xml = junit(
      report([failure(), failure({ object: "tag", digest: null, path: [], platform: null, tags: ["v2"] })]),
    );
    expect(xml).toContain('<testsuites name="warden verify" tests="3" failures="2" errors="0" time="2.500">');
    expect(xml).toContain('<testcase classname="walk" name="reaches everything" time="2.500"/>');
    expect(xml).toContain(`<testcase classname="infra/ci" name="manifest latest (+1) ${CHILD} linux/arm64">`);
    expect(xml).toContain('<testcase classname="infra/ci" name="tag v2">');
    expect(xml.match(/<failure type="missing" message="missing: answered 404">/g)).toHaveLength(2);
  });

  test("tells when, by which version and with which options", () => {
    const xml = junit(report());
    expect(xml).toContain('timestamp="2026-04-19T03:15:00.000Z"');
    expect(xml).toContain('<property name="warden" value="1.2.3"/>');
    expect(xml).toContain('<property name="tag" value="v1 v2"/>');
  });

  test("has a case for each platform of each image that is broken somewhere", () => {
    const xml = junit(
      report([], { images: { whole: 1, broken: [broken(), broken({ tags: ["v9"], platforms: [] })] } }),
    );
    expect(xml).toContain('<testcase classname="infra/ci" name="image latest (+1) linux/amd64"/>');
    expect(xml).toContain('<testcase classname="infra/ci" name="image latest (+1) linux/arm64">');
    expect(xml).toContain('<testcase classname="infra/ci" name="image v9">');
    expect(xml).toContain('tests="4" failures="2"');
  });

  test("has an error where the walk was not complete", () => {
    const xml = junit(report([], { complete: false }));
    expect(xml).toContain('tests="1" failures="0" errors="1"');
    expect(xml).toContain('<error type="incomplete" message="not everything was reached"/>');
  });

  test("is well formed whatever the report says", () => {
    fc.assert(
      fc.property(fc.array(anyFailure), (failures) => {
        const xml = junit(report(failures));
        const open: string[] = [];
        for (const [, closing, name = "", self] of xml.matchAll(/<(\/?)([a-z]+)(?: [a-z]+="[^"<]*")*(\/?)>/g)) {
          if (closing) expect(open.pop()).toBe(name);
          else if (!self) open.push(name);
        }
        expect(open).toEqual([]);
        const outside = xml.replace(/<\?xml[^?]*\?>/, "").replace(/<\/?[a-z]+(?: [a-z]+="[^"<]*")*\/?>/g, "");
        expect(outside).not.toMatch(/[<>]|&(?!#\d+;)/);
      }),
    );
  });
});

describe("the page", () => {
  test("shows the tree from the tags to the broken object", () => {
    const html = page(report([failure()]));
    const tree = html.slice(html.indexOf("<ul>"), html.indexOf("</details>"));
    const order = ["infra/ci:latest", "infra/ci:v1", INDEX, CHILD, "manifest missing", "linux/arm64"].map((text) =>
      tree.indexOf(text),
    );
    expect(order).not.toContain(-1);
    expect([...order].sort((a, b) => a - b)).toEqual(order);
    expect(html).toContain('<input type="search"');
  });

  test("tells which images cannot be pulled before what is broken, and when that was seen", () => {
    const html = page(report([failure()], { images: { whole: 1, broken: [broken()] } }));
    expect(html.indexOf("1 of 2 images cannot be pulled")).toBeLessThan(html.indexOf('<details class="repository"'));
    expect(html).toContain('<span class="bad">linux/arm64 broken</span>');
    expect(html).toContain('<span class="good">linux/amd64 whole</span>');
    expect(html).toContain("2026-04-19T03:15:00.000Z by warden 1.2.3, role private, tag v1 v2");
    expect(html).toMatch(new RegExp(`<summary>.*${CHILD.slice(0, 19)}.*</summary>`));
  });

  test("of a healthy registry has nothing to search", () => {
    expect(page(report())).toContain("nothing broken");
    expect(page(report())).not.toContain("<input");
  });

  test("needs no network", () => {
    const html = page(report([failure()]));
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/\b(?:src|href)=/);
  });

  test("takes nothing of the report for markup", () => {
    fc.assert(
      fc.property(fc.array(anyFailure, { minLength: 1 }), fc.string(), (failures, registry) => {
        const html = page(report(failures, { registry }));
        const tags = new Set([...html.matchAll(/<([a-z0-9]+)/g)].map(([, name]) => name));
        const known =
          "html head meta title style body h1 p strong dl div dt dd input output details summary code ul li span h2 pre script";
        for (const name of tags) expect(known.split(" ")).toContain(name);
        expect(html.match(/<script>/g)).toHaveLength(1);
      }),
    );
  });
});

describe("a report of 150,000 failures", () => {
  const failures = Array.from({ length: 150_000 }, (_, at) =>
    failure({ repository: `r${at % 500}`, digest: sha256(`${at}`), tags: [`v${at}`] }),
  );
  const images = { whole: 0, broken: failures.map(({ repository, tags }) => broken({ repository, tags })) };
  const whole = report(failures, { images });

  test("is cut in every format that people and their tools read, and says so", () => {
    const text = reportTable(whole);
    expect(text.length).toBeLessThan(3000);
    expect(text).toContain("... and 149,000 more failures");
    expect(text).toContain("150,000 failures in 500 repositories");
    const html = page(whole);
    expect(html.length).toBeLessThan(5_000_000);
    expect(html).toContain("150000 failures in all");
    const xml = junit(whole);
    expect(xml.length).toBeLessThan(10_000_000);
    expect(xml).toContain("145000 more of 150000 failures");
  });
});
