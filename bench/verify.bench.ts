import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { find } from "../test/lab/components";
import { image, index, layer, type Manifest } from "../test/lab/images";
import { startRegistry } from "../test/lab/registry";
import { digestOf, SyntheticStore } from "../test/registry/storage/synthetic-store";

const root = resolve(__dirname, "..");
const REPOSITORIES = 50;
const TAGS = 10;
const PLATFORMS = ["amd64", "arm64", "riscv64"];
const LAYERS = 8;
/** Runs of the two that are compared most closely, in turn; the others run once. */
const ROUNDS = 3;

interface Corpus {
  name: string;
  /** The seed of a layer: equal seeds are one blob of a repository. */
  layerSeed: (repository: string, tag: string, platform: string, at: number) => string;
}

const CORPORA: Corpus[] = [
  {
    name: "nothing shared",
    layerSeed: (repository, tag, platform, at) => `${repository}/${tag}/${platform}/${at}`,
  },
  {
    name: "7 of 8 layers shared by a repository's tags",
    layerSeed: (repository, tag, platform, at) => `${repository}/${at === LAYERS - 1 ? tag : "base"}/${platform}/${at}`,
  },
];

function imageOf({ layerSeed }: Corpus, repository: string, tag: string): Manifest {
  return index(
    PLATFORMS.map((architecture) => {
      const layers = Array.from({ length: LAYERS }, (_, at) => layer(layerSeed(repository, tag, architecture, at)));
      return image(`${repository}/${tag}/${architecture}`, { platform: { architecture, os: "linux" }, layers });
    }),
  );
}

/** Writes the corpus and returns the path of each distinct manifest and blob, as a walk has to ask for it. */
function writeCorpus(store: SyntheticStore, corpus: Corpus): string[] {
  const paths = new Set<string>();
  for (let each = 0; each < REPOSITORIES; each++) {
    const repository = `bench/r${String(each).padStart(2, "0")}`;
    const add = (manifest: Manifest): void => {
      paths.add(`/v2/${repository}/manifests/${digestOf(manifest)}`);
      for (const blob of manifest.blobs) paths.add(`/v2/${repository}/blobs/${digestOf(blob)}`);
      manifest.manifests.forEach(add);
    };
    for (let n = 0; n < TAGS; n++) {
      const made = imageOf(corpus, repository, `v${n}`);
      store.push(repository, made, `v${n}`);
      add(made);
    }
  }
  return [...paths];
}

function seconds(command: readonly string[], environment: Record<string, string> = {}): number {
  const [program = "", ...args] = command;
  const started = performance.now();
  execFileSync(program, args, {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...environment },
  });
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** As it stood in the origin's CronJob, with the mistakes that are no matter of speed put right. */
const SHELL_PROBE = `
accept='Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json'
failures=0
for repository in $(curl -sf "$REGISTRY/v2/_catalog" | jq -r '.repositories[]'); do
  for tag in $(curl -sf "$REGISTRY/v2/$repository/tags/list" | jq -r '.tags[]' | tail -n 5); do
    for digest in $(curl -sf -H "$accept" "$REGISTRY/v2/$repository/manifests/$tag" | jq -r '.manifests[]?.digest'); do
      curl -sf -o /dev/null -I -H "$accept" "$REGISTRY/v2/$repository/manifests/$digest" || failures=$((failures + 1))
    done
  done
done
[ "$failures" = 0 ]`;

async function measure(corpus: Corpus, folder: string): Promise<void> {
  const store = new SyntheticStore(join(folder, "storage"));
  const paths = writeCorpus(store, corpus);
  const registry = await startRegistry({ root: store.root });
  try {
    const list = join(folder, "paths");
    writeFileSync(list, paths.join("\n"));
    const names = [...new Set(paths.map((path) => path.split("/").slice(2, 4).join("/")))];
    const images = join(folder, "images");
    writeFileSync(
      images,
      names.flatMap((name) => Array.from({ length: TAGS }, (_, n) => `${registry.host}/${name}:v${n}\n`)).join(""),
    );

    const [host = "", port = ""] = registry.host.split(":");
    const load = [process.execPath, "--import", "tsx", "bench/head-load.ts", host, port, list, "8"];
    const warden = [process.execPath, "dist/warden.mjs", "verify", registry.url, "--json"];
    seconds(load);
    const bare: number[] = [];
    const ours: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(seconds(load));
      ours.push(seconds(warden));
    }
    const crane = find("crane");
    const validate = (processes: number): number | string => {
      if ("missing" in crane) return crane.missing;
      const command = [...crane.command, "validate", "--fast", "--remote"].join(" ");
      return seconds(["sh", "-c", `xargs -P ${processes} -n 1 ${command} < ${images}`]);
    };
    const rows: [string, number | string][] = [
      [`bare HEAD of ${paths.length} objects over 8 connections`, median(bare)],
      ["warden verify, all of it", median(ours)],
      ["crane validate --fast, by 8", validate(8)],
      ["crane validate --fast, in sequence", validate(1)],
      ["curl + jq, children of five tags", seconds(["sh", "-c", SHELL_PROBE], { REGISTRY: registry.url })],
    ];
    process.stdout.write(`${corpus.name}\n`);
    const own = median(ours);
    for (const [name, took] of rows) {
      const value =
        typeof took === "string" ? took : `${took.toFixed(1).padStart(6)} s  ${(took / own).toFixed(2).padStart(6)}`;
      process.stdout.write(`  ${name.padEnd(52)}${value}\n`);
    }
  } finally {
    await registry.stop();
  }
}

/** `warden verify` against the limit of the registry and against the others that check images, on two corpora. */
export async function run(): Promise<void> {
  const registry = find("registry");
  if ("missing" in registry) {
    process.stdout.write(`skipped: ${registry.missing}\n`);
    return;
  }
  execFileSync(process.execPath, ["--import", "tsx", "cli/build.ts"], { cwd: root, stdio: "inherit" });
  for (const corpus of CORPORA) {
    const folder = mkdtempSync(join(tmpdir(), "warden-bench-"));
    try {
      await measure(corpus, folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}
