import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../cli/build";
import type { Digest } from "../registry/oci/digest";
import { StorageLayout } from "../registry/storage/layout";

/** A store: each repository has this many tagged images with a config and nine layers; no blob is shared. */
interface Shape {
  repositories: number;
  imagesEach: number;
}

const LARGE: Shape = { repositories: 50, imagesEach: 400 };
const QUARTER: Shape = { repositories: 50, imagesEach: 100 };
const BLOBS_OF_IMAGE = 10;
const ROUNDS = 5;

/**
 * What common clean-up scripts do: walk everything, and check whether each layer link has a blob, and each child of an
 * index a blob and a link. They read no link, compare no size, hash nothing and check no config or layer.
 */
const PYTHON = `
import json, os, sys
v2 = os.path.join(sys.argv[1], "docker/registry/v2")
blob = lambda digest: os.path.join(v2, "blobs/sha256", digest[:2], digest, "data")
missing = 0
for folder, digests, _ in os.walk(os.path.join(v2, "repositories")):
    if folder.endswith("/_layers/sha256"):
        for digest in digests:
            if os.path.exists(os.path.join(folder, digest, "link")) and not os.path.exists(blob(digest)):
                missing += 1
    elif folder.endswith("/_manifests/revisions/sha256"):
        for digest in digests:
            with open(blob(digest)) as file:
                manifest = json.load(file)
            for child in manifest.get("manifests", []):
                name = child["digest"].split(":")[1]
                if not os.path.exists(blob(name)) or not os.path.exists(os.path.join(folder, name, "link")):
                    missing += 1
print(missing)
`;

const write = (path: string, bytes: string): void => {
  mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  writeFileSync(path, bytes);
};

const makeStore = (root: string, { repositories, imagesEach }: Shape): void => {
  const layout = new StorageLayout(root);
  const store = (bytes: string) => {
    const digest: Digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    write(layout.blobData(digest), bytes);
    return { digest, size: bytes.length };
  };
  for (let n = 0; n < repositories; n++) {
    const repository = layout.repository(`team${n % 7}/app${n}`);
    for (let image = 0; image < imagesEach; image++) {
      const [config, ...layers] = Array.from({ length: BLOBS_OF_IMAGE }, (_, blob) => store(`${n}/${image}/${blob}`));
      for (const blob of [config, ...layers]) if (blob) write(repository.layerLink(blob.digest), blob.digest);
      const { digest } = store(JSON.stringify({ schemaVersion: 2, config, layers }));
      write(repository.revisionLink(digest), digest);
      write(repository.tagLink(`v${image}`), digest);
      write(`${repository.tagHistoryEntry(`v${image}`, digest)}/link`, digest);
    }
  }
};

/** The cost of a run: elapsed seconds, CPU seconds, and peak memory in MiB, if the program reports it. */
interface Cost {
  time: number;
  processor: number;
  memory: number;
}

/** Runs a command in a shell, which reports the CPU time of its children. */
const costOf = (command: string[]): Cost => {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync("sh", ["-ec", '"$@" >/dev/null; times', "sh", ...command], {
    encoding: "utf8",
  });
  const time = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${stderr}`);
  const children = stdout.trim().split("\n").at(-1) ?? "";
  const processor = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
    0,
  );
  return { time, processor, memory: Number(/peak (\d+)/.exec(stderr)?.[1] ?? 0) / 1024 };
};

/** The median of several rounds, in which the contestants take turns, so that all run under the same conditions. */
const race = <Name extends string>(contestants: Record<Name, string[]>): Record<Name, Cost> => {
  const names = Object.keys(contestants) as Name[];
  const rounds = Array.from({ length: ROUNDS }, () =>
    Object.fromEntries(names.map((name) => [name, costOf(contestants[name])])),
  );
  const middle = (name: Name, of: keyof Cost) =>
    rounds.map((round) => round[name]?.[of] ?? 0).sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  return Object.fromEntries(
    names.map((name) => [
      name,
      { time: middle(name, "time"), processor: middle(name, "processor"), memory: middle(name, "memory") },
    ]),
  ) as Record<Name, Cost>;
};

export const runBench = async (): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "warden-bench-scan-"));
  try {
    await build();
    const warden = join(__dirname, "../dist/warden.mjs");
    const [python, peak] = [join(folder, "scan.py"), join(__dirname, "peak.cjs")];
    writeFileSync(python, PYTHON);
    const [large, quarter] = [join(folder, "large"), join(folder, "quarter")];
    makeStore(large, LARGE);
    makeStore(quarter, QUARTER);

    const scan = (root: string) => [process.execPath, "--require", peak, warden, "scan", root, "--json"];
    const costs = race({
      find: ["find", large, "-type", "f"],
      python: ["python3", python, large],
      warden: scan(large),
      quarter: scan(quarter),
    });

    const images = LARGE.repositories * LARGE.imagesEach;
    const { find, python: script, warden: whole, quarter: part } = costs;
    const figures = ({ time, processor }: Cost) => [time.toFixed(2), processor.toFixed(2)];
    const quotients = (a: Cost, b: Cost) => [(a.time / b.time).toFixed(2), (a.processor / b.processor).toFixed(2)];
    const rows = [
      ["", "seconds", "processor", "aim"],
      ["find -type f", ...figures(find)],
      ["python, as the origin's scan", ...figures(script)],
      ["warden scan", ...figures(whole)],
      ["warden scan, a quarter of it", ...figures(part)],
      ["of find", ...quotients(whole, find), "at most 0.50"],
      ["times faster than python", ...quotients(script, whole), "at least 3"],
      ["of a store four times smaller", ...quotients(whole, part), "about 4"],
      ["memory, MiB", whole.memory.toFixed(0), "", "below 300"],
    ];
    process.stdout.write(
      `${(images * BLOBS_OF_IMAGE).toLocaleString("en")} layer links, ${images.toLocaleString("en")} manifests; the middle of ${ROUNDS}\n`,
    );
    for (const [what = "", time = "", processor = "", aim = ""] of rows) {
      process.stdout.write(
        `${what.padEnd(32)}${time.padStart(9)}${processor.padStart(11)}   ${aim}`.trimEnd().concat("\n"),
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
};
