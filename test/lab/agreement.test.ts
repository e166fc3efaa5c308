import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Failure } from "../../registry/oci/failure";
import type { Finding } from "../../registry/storage/finding";
import { scan } from "../../registry/storage/scan";
import { verify } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { contentOf } from "./corpus";
import { digestOf, image, index, multiPlatformImage, push } from "./images";
import { type LabRegistry, startRegistry } from "./registry";

/** What can happen to a file. */
const BLOWS: Record<string, (path: string) => void> = {
  removed: (path) => rmSync(path),
  emptied: (path) => truncateSync(path, 0),
  halved: (path) => truncateSync(path, readFileSync(path).length >> 1),
  "with a newline": (path) => appendFileSync(path, "\n"),
  "with another byte": (path) => {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = bytes[bytes.length >> 1] === 0x61 ? 0x62 : 0x61;
    writeFileSync(path, bytes);
  },
  "with other content": (path) => writeFileSync(path, path.endsWith("link") ? `sha256:${"f".repeat(64)}` : "{}"),
};

/** The same in every run: each repository has its own content, and one of its files is hit. */
const DRAWN = fc.sample(fc.record({ blow: fc.constantFrom(...Object.keys(BLOWS)), file: fc.nat() }), {
  numRuns: 40,
  seed: 20_260_419,
});

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component], "whatever befalls a file of an image", () => {
    let registry: LabRegistry;
    let failures: Failure[];
    let findings: Finding[];
    const damage: string[] = [];

    beforeAll(async () => {
      registry = await startRegistry({ component });
      const v2 = join(registry.root, "docker/registry/v2");
      for (const [at, { blow, file }] of DRAWN.entries()) {
        const name = `app${at}`;
        const pushed = index([multiPlatformImage(name), image(`${name}/outer`)]);
        await push(registry, name, pushed, "v1", "latest");
        const links = readdirSync(join(v2, "repositories", name), { recursive: true, encoding: "utf8" })
          // A tag's history is not served.
          .filter((path) => path.endsWith("/link") && !path.includes("/index/"))
          .map((path) => join("repositories", name, path));
        const data = contentOf(pushed).map((each) => `blobs/${digestOf(each).replace(/:(..)/, "/$1/$1")}/data`);
        const files = [...new Set([...links, ...data])].sort();
        const hit = files[file % files.length] ?? "";
        BLOWS[blow]?.(join(v2, hit));
        damage.push(`${hit} ${blow}`);
      }
      await registry.restart();
      failures = (await verify(new URL(registry.url), { blobs: "hash" })).failures;
      findings = (await scan(registry.root, { hash: true })).findings;
    }, 120_000);
    afterAll(() => registry.stop());

    test.each(DRAWN.map((_, at) => at))("disk and HTTP agree: %d", (at) => {
      const name = `app${at}`;
      const failed = failures.filter(({ repository }) => repository === name);
      const found = findings.filter(({ repository }) => repository === name);
      const seen = { damage: damage[at], failed: failed.length > 0, tags: failed.flatMap(({ tags }) => tags).sort() };
      expect({ damage: damage[at], failed: found.length > 0, tags: found.flatMap(({ tags }) => tags).sort() }).toEqual(
        seen,
      );
      expect(failed).not.toEqual([]);
      for (const { digest, platform, path } of failed) {
        // A walk cannot tell what a failing tag points at.
        if (digest === null) continue;
        expect(found).toContainEqual(expect.objectContaining({ digest, platform, parent: path.at(-2) ?? null }));
      }
    });

    test("and every kind of object was hit", () => {
      expect(new Set(findings.map(({ kind }) => kind)).size).toBeGreaterThan(6);
    });
  });
});
