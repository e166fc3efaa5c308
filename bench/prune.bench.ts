import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "../registry/oci/client";
import { PackageListing } from "../registry/remote/package-listing";
import { planRemotePrune } from "../registry/remote/prune";
import { keepNewest } from "../registry/storage/policy";
import { planPrune } from "../registry/storage/prune";
import { image, index, layer } from "../test/lab/images";
import { startRegistry } from "../test/lab/registry";
import { SyntheticStore } from "../test/registry/storage/synthetic-store";
import { median } from "./median";
import { isSkipped } from "./skip";

const REPOSITORIES = 50;
const TAGS = 10;
const PLATFORMS = ["amd64", "arm64", "riscv64"];
const LAYERS = 8;
const ROUNDS = 5;

const fill = (store: SyntheticStore): void => {
  for (let repository = 0; repository < REPOSITORIES; repository++) {
    for (let tag = 0; tag < TAGS; tag++) {
      const children = PLATFORMS.map((architecture) =>
        image(`${repository}/${tag}/${architecture}`, {
          platform: { architecture, os: "linux" },
          layers: Array.from({ length: LAYERS }, (_, at) => layer(`${repository}/${at === 0 ? tag : "base"}/${at}`)),
        }),
      );
      store.push(`bench/r${repository}`, index(children), `v${tag}`);
    }
  }
};

const timed = async (act: () => Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await act();
  return (performance.now() - started) / 1000;
};

/** A plan of 500 tags over HTTP, against that from the disk. */
export const runBench = async (): Promise<void> => {
  if (isSkipped("registry")) return;
  const folder = mkdtempSync(join(tmpdir(), "warden-bench-"));
  const store = new SyntheticStore(join(folder, "storage"));
  fill(store);
  const registry = await startRegistry({ root: store.root });
  const access = { url: new URL(registry.url), credentials: null };
  try {
    const policy = keepNewest(5, []);
    const disk: number[] = [];
    const http: number[] = [];
    let requests = 0;
    for (let round = 0; round < ROUNDS; round++) {
      disk.push(await timed(() => planPrune(store.root, policy, Date.now())));
      const client = new RegistryClient(access);
      const listing = new PackageListing(access);
      http.push(
        await timed(() =>
          planRemotePrune(client, { policy, now: Date.now(), listing, journals: join(folder, "journals") }),
        ),
      );
      requests = client.traffic.requests;
      await Promise.all([client.close(), listing.close()]);
    }
    const tags = REPOSITORIES * TAGS;
    process.stdout.write(`a plan of ${tags} tags, each an index of ${PLATFORMS.length}, medians of ${ROUNDS} rounds\n`);
    process.stdout.write(`  from the disk     ${median(disk).toFixed(2)} s\n`);
    process.stdout.write(
      `  over HTTP         ${median(http).toFixed(2)} s, ${requests} requests (${(requests / tags).toFixed(1)} a tag)\n`,
    );
  } finally {
    await registry.stop();
    rmSync(folder, { recursive: true });
  }
};
