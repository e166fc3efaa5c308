import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { find } from "../test/lab/components";
import { digestOf, image, index, layer, type SyntheticManifest } from "../test/lab/images";
import { type LabRegistry, startRegistry } from "../test/lab/registry";
import { FakeRegistry, json } from "../test/registry/oci/fake-registry";
import { SyntheticStore } from "../test/registry/storage/synthetic-store";
import { median } from "./median";
import { isSkipped } from "./skip";

const root = resolve(__dirname, "..");
const REPOSITORIES = 50;
const TAGS = 10;
const PLATFORMS = ["amd64", "arm64", "riscv64"];
const LAYERS = 8;
/** In each round all of them run in turn, so that a temporary slowdown of the machine affects all. */
const ROUNDS = 3;
const CONNECTIONS = "8";

interface Corpus {
  name: string;
  /** The seed of a layer: equal seeds result in the same blob in a repository. */
  layerSeed: (repository: string, tag: string, platform: string, at: number) => string;
  /** How many times faster than crane the walk should be. */
  aims: { by8: string; inSequence: string };
}

const CORPORA: Corpus[] = [
  {
    name: "nothing shared",
    layerSeed: (repository, tag, platform, at) => `${repository}/${tag}/${platform}/${at}`,
    aims: { by8: "", inSequence: "" },
  },
  {
    name: "7 of 8 layers shared by a repository's tags",
    layerSeed: (repository, tag, platform, at) => `${repository}/${at === LAYERS - 1 ? tag : "base"}/${platform}/${at}`,
    aims: { by8: " (aim: 3.5)", inSequence: " (aim: 6)" },
  },
];

/** The requests of the bare load: the same objects, each once. */
interface Requests {
  /** HEAD for every object. */
  head: string[];
  /** HEAD for every manifest, the last byte of every blob. */
  lastByte: string[];
}

const imageOf = ({ layerSeed }: Corpus, repository: string, tag: string): SyntheticManifest =>
  index(
    PLATFORMS.map((architecture) => {
      const layers = Array.from({ length: LAYERS }, (_, at) => layer(layerSeed(repository, tag, architecture, at)));
      return image(`${repository}/${tag}/${architecture}`, { platform: { architecture, os: "linux" }, layers });
    }),
  );

const repositoryNames = Array.from({ length: REPOSITORIES }, (_, n) => `bench/r${String(n).padStart(2, "0")}`);
const tagNames = Array.from({ length: TAGS }, (_, n) => `v${n}`);

const writeCorpus = (store: SyntheticStore, corpus: Corpus): Requests => {
  const manifests = new Set<string>();
  const blobs = new Map<string, number>();
  const note = (repository: string, manifest: SyntheticManifest): void => {
    manifests.add(`/v2/${repository}/manifests/${digestOf(manifest)}`);
    for (const blob of manifest.blobs) blobs.set(`/v2/${repository}/blobs/${digestOf(blob)}`, blob.bytes.length);
    for (const child of manifest.manifests) note(repository, child);
  };
  for (const repository of repositoryNames) {
    for (const tag of tagNames) {
      const made = imageOf(corpus, repository, tag);
      store.push(repository, made, tag);
      note(repository, made);
    }
  }
  const heads = [...manifests].map((path) => `HEAD ${path}`);
  return {
    head: [...heads, ...[...blobs.keys()].map((path) => `HEAD ${path}`)],
    lastByte: [...heads, ...[...blobs].map(([path, size]) => `GET ${path} ${size - 1}`)],
  };
};

const seconds = (command: readonly string[], environment: Record<string, string> = {}): number => {
  const [program = "", ...args] = command;
  const started = performance.now();
  execFileSync(program, args, {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...environment },
  });
  return (performance.now() - started) / 1000;
};

/** The seconds measured by the load generator itself. */
const load = (registry: LabRegistry, file: string): number => {
  const [host = "", port = ""] = registry.host.split(":");
  const args = ["--import", "tsx", "bench/load.ts", host, port, file, CONNECTIONS];
  return Number(execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" }));
};

/** As in the original CronJob, with the bugs fixed that do not affect its speed. */
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

const print = (title: string, rows: readonly (readonly [string, string])[]): void => {
  process.stdout.write(`${title}\n`);
  for (const [name, value] of rows) process.stdout.write(`  ${name.padEnd(64)}${value}\n`);
};

const measure = async (corpus: Corpus, folder: string): Promise<void> => {
  const store = new SyntheticStore(join(folder, "storage"));
  const requests = writeCorpus(store, corpus);
  const registry = await startRegistry({ root: store.root });
  try {
    const file = (name: string, lines: readonly string[]): string => {
      const path = join(folder, name);
      writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
      return path;
    };
    const head = file("head", requests.head);
    const lastByte = file("last-byte", requests.lastByte);
    const images = file(
      "images",
      repositoryNames.flatMap((name) => tagNames.map((tag) => `${registry.host}/${name}:${tag}`)),
    );
    /** The seconds of the whole program, and those of its walk by its own clock, for comparison with the bare load. */
    const warden = (check: "head" | "last-byte"): [program: number, walk: number] => {
      const started = performance.now();
      const command = ["dist/warden.mjs", "verify", registry.url, "--json", "--blobs", check];
      const report = execFileSync(process.execPath, command, { cwd: root, encoding: "utf8" });
      const { durationSeconds } = JSON.parse(report) as { durationSeconds: number };
      return [(performance.now() - started) / 1000, durationSeconds];
    };

    const crane = find("crane");
    const validate = (processes: number): number => {
      if ("missing" in crane) return Number.NaN;
      const command = [...crane.command, "validate", "--fast", "--remote"].join(" ");
      return seconds(["sh", "-c", `xargs -P ${processes} -n 1 ${command} < ${images}`]);
    };
    load(registry, head);
    const rounds = Array.from({ length: ROUNDS }, () => {
      const bareHead = load(registry, head);
      const [ownHead, headWalk] = warden("head");
      const bareLastByte = load(registry, lastByte);
      const [ownLastByte, lastByteWalk] = warden("last-byte");
      return {
        bareHead,
        head: ownHead,
        headWalk,
        bareLastByte,
        lastByte: ownLastByte,
        lastByteWalk,
      };
    });
    // Once, because they take minutes and are several times slower: noise does not decide there.
    const others = {
      craneBy8: validate(8),
      craneInSequence: validate(1),
      shell: seconds(["sh", "-c", SHELL_PROBE], { REGISTRY: registry.url }),
    };
    type Own = (typeof rounds)[number];
    type Other = typeof others;
    if ("missing" in crane) process.stdout.write(`without crane: ${crane.missing}\n`);
    const took = (name: keyof Own | keyof Other): number =>
      name in others ? others[name as keyof Other] : median(rounds.map((round) => round[name as keyof Own]));
    const time = (name: keyof Own | keyof Other): string => `${took(name).toFixed(2)} s`;
    const percent = (bare: keyof Own, own: keyof Own): string =>
      `${(100 * median(rounds.map((round) => round[bare] / round[own]))).toFixed(0)} %`;
    const times = (other: keyof Other, own: keyof Own): string => (took(other) / took(own)).toFixed(1);
    print(`${corpus.name}: ${requests.head.length} objects, medians of ${ROUNDS} rounds; other tools once`, [
      [`bare load, HEAD over ${CONNECTIONS} connections`, time("bareHead")],
      ["warden verify --blobs head, all of it", time("head")],
      ["bare load, HEAD of manifests and last byte of blobs", time("bareLastByte")],
      ["warden verify (--blobs last-byte), all of it", time("lastByte")],
      ["crane validate --fast, by 8", time("craneBy8")],
      ["crane validate --fast, in sequence", time("craneInSequence")],
      ["curl + jq, children of five tags", time("shell")],
      ["--blobs head, of the bare load's rate, own clocks (aim: 80 %)", percent("bareHead", "headWalk")],
      ["--blobs head, of the bare load's rate, with its start and end", percent("bareHead", "head")],
      ["last-byte, of the bare load's rate, own clocks", percent("bareLastByte", "lastByteWalk")],
      [`--blobs head, times faster than crane by 8${corpus.aims.by8}`, times("craneBy8", "head")],
      [`--blobs head, times faster than crane in sequence${corpus.aims.inSequence}`, times("craneInSequence", "head")],
      ["--blobs head, times faster than curl + jq (aim: 1)", times("shell", "head")],
      ["last-byte, times faster than crane by 8", times("craneBy8", "lastByte")],
      ["last-byte, times faster than crane in sequence", times("craneInSequence", "lastByte")],
      ["last-byte, times faster than curl + jq", times("shell", "lastByte")],
    ]);
  } finally {
    await registry.stop();
  }
};

const PROBED_TAGS = 10_000;

/** Runs the CronJob's program against a registry with many tags: its size, the time until its first request, its peak memory. */
const measureProbe = async (): Promise<void> => {
  const registry = await FakeRegistry.start();
  const gateway = await FakeRegistry.start();
  try {
    const base = [layer("base")];
    for (let n = 0; n < PROBED_TAGS; n++) registry.push("app", image(`${n}`, { layers: base }), `v${n}`);
    let firstRequest = 0;
    let peak = "unknown";
    registry.on("/v2/", (request, response) => {
      firstRequest = performance.now();
      registry.serve(request, response);
    });
    gateway.on(/./, (request, response) => {
      // Read while the program is still running: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
      peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? "unknown";
      request.resume();
      json(response, 200, {});
    });
    const started = performance.now();
    const child = spawn(process.execPath, ["dist/probe.mjs"], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
      env: { PATH: process.env.PATH, REGISTRY: registry.url.origin, PUSHGATEWAY: gateway.url.origin },
    });
    await new Promise((resolve) => child.once("exit", resolve));
    const took = (performance.now() - started) / 1000;
    print(`the probe's program, on ${PROBED_TAGS} tags`, [
      ["size", `${(statSync(join(root, "dist/probe.mjs")).size / 1024).toFixed(0)} KiB`],
      ["until its first request", `${((firstRequest - started) / 1000).toFixed(2)} s`],
      ["peak memory", peak === "unknown" ? peak : `${(Number(peak) / 1024).toFixed(0)} MiB`],
      ["in all", `${took.toFixed(1)} s`],
    ]);
  } finally {
    await registry.stop();
    await gateway.stop();
  }
};

/** `warden verify` compared with the limit of the registry and with other tools that check images, on two corpora. */
export const runBench = async (): Promise<void> => {
  execFileSync(process.execPath, ["--import", "tsx", "cli/build.ts"], { cwd: root, stdio: "inherit" });
  await measureProbe();
  if (isSkipped("registry")) return;
  for (const corpus of CORPORA) {
    const folder = mkdtempSync(join(tmpdir(), "warden-bench-"));
    try {
      await measure(corpus, folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
};
