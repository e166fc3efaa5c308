import { setTimeout as sleep } from "node:timers/promises";
import { RegistryClient } from "../../registry/oci/client";
import { RegistryWriter, type WriterOptions } from "../../registry/oci/push";
import { PackageListing } from "../../registry/remote/package-listing";
import { planRemote } from "../../registry/remote/plan";
import { applyRemotePrune, type RemotePruneReport } from "../../registry/remote/prune";
import type { RetentionPolicy } from "../../site/retention";
import {
  authorizationOf,
  createdOn,
  image,
  index,
  layer,
  type PushTarget,
  push,
  pusher,
  type SyntheticManifest,
} from "./images";

/** What clients do to a repository while it is cleaned up. */
export const DEEDS = ["new index of an old part", "moved tag", "new tag", "old tag again", "mount"] as const;
export type Deed = (typeof DEEDS)[number];

/** What became of pushes that the registry had confirmed, by kind. */
export type Tally = Record<Deed, { pushes: number; lost: number; broken: number }>;

export const emptyTally = (): Tally =>
  Object.fromEntries(DEEDS.map((deed) => [deed, { pushes: 0, lost: 0, broken: 0 }])) as Tally;

const VERSIONS = [1, 2, 3, 4, 5, 6];
/** Old enough to be removed. */
const OLD = [1, 2, 3, 4];
const POLICY: RetentionPolicy = {
  rules: [{ repositories: "**", keepNewest: 2, keep: ["p*", "stable*"], order: "created" }],
};

const base = [layer("base")];
const platform = (architecture: string) => ({ architecture, os: "linux" });
const own = (n: number) => image(`own ${n}`, { layers: base, platform: platform("amd64") });
const shared = image("shared", { layers: base, platform: platform("arm64") });
const version = (n: number) => index([own(n), shared], { annotations: createdOn(n) });
const fresh = (n: number) => image(`fresh ${n}`, { layers: base, annotations: createdOn(6) });
const FRESH = Array.from({ length: 4 }, (_, n) => fresh(n));
/** Where a tag that will be moved is at first. Nothing else leads there: a Gitea forgets it with the move. */
const stable = (n: number) => image(`stable ${n}`, { layers: base, annotations: createdOn(6) });

/** Sends a request for a manifest, or with one. @returns the status */
const send = async (
  { url, credentials }: PushTarget,
  method: "HEAD" | "POST" | "PUT",
  path: string,
  manifest?: SyntheticManifest,
): Promise<number> => {
  const answer = await fetch(`${url}/v2/${path}`, {
    method,
    body: method === "PUT" ? manifest?.bytes : undefined,
    headers: {
      ...authorizationOf(credentials),
      ...(manifest && { [method === "PUT" ? "content-type" : "accept"]: manifest.descriptor.mediaType }),
    },
  });
  await answer.arrayBuffer();
  return answer.status;
};

/** Pushes like a real client: what exists is not pushed again, and what is refused is pushed from the start. */
class Pusher {
  readonly #registry: PushTarget;
  readonly #repository: string;
  readonly #number: number;
  /** The last digest that the registry confirmed, and how it was pushed, by repository and tag. */
  readonly confirmed = new Map<string, { repository: string; tag: string; made: SyntheticManifest; deed: Deed }>();
  pushes = 0;

  constructor(registry: PushTarget, repository: string, number: number) {
    this.#registry = registry;
    this.#repository = repository;
    this.#number = number;
  }

  async run({ random, pause }: Pick<Race, "random" | "pause">): Promise<void> {
    for (let n = 0; n < PUSHES; n++) {
      await sleep(random() * pause);
      const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
      const deed = pick(DEEDS);
      const old = pick(OLD);
      switch (deed) {
        case "new index of an old part":
          await this.#push(this.#repository, `p${this.#number}-${n}`, index([own(old), pick(FRESH)]), deed);
          break;
        case "moved tag":
          await this.#push(this.#repository, `stable${this.#number}`, version(pick([...OLD, 6])), deed);
          break;
        case "new tag":
          await this.#push(this.#repository, `p${this.#number}-${n}`, version(old), deed);
          break;
        case "old tag again":
          // Each old tag has only one pusher, so that the last push is known.
          await this.#push(this.#repository, `v${this.#number + 1}`, pick(FRESH), deed);
          break;
        case "mount":
          await this.#push(`${this.#repository}-other`, `p${this.#number}-${n}`, own(old), deed);
          break;
      }
    }
  }

  async #push(repository: string, tag: string, made: SyntheticManifest, deed: Deed): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const isTaken =
        attempt === 0
          ? await this.#pushMissing(repository, tag, made, deed)
          : await push(this.#registry, repository, made, tag).then(
              () => true,
              () => false,
            );
      if (!isTaken) continue;
      this.pushes++;
      this.confirmed.set(`${repository}:${tag}`, { repository, tag, made, deed });
      return;
    }
  }

  async #pushMissing(repository: string, tag: string, made: SyntheticManifest, deed: Deed): Promise<boolean> {
    if (deed === "mount") for (const { descriptor } of made.blobs) await this.#mount(repository, descriptor.digest);
    for (const child of made.manifests) {
      const path = `${repository}/manifests/${child.descriptor.digest}`;
      if ((await send(this.#registry, "HEAD", path, child)) !== 200) await send(this.#registry, "PUT", path, child);
    }
    return (await send(this.#registry, "PUT", `${repository}/manifests/${tag}`, made)) === 201;
  }

  async #mount(repository: string, digest: string): Promise<void> {
    const query = new URLSearchParams({ mount: digest, from: this.#repository });
    await send(this.#registry, "POST", `${repository}/blobs/uploads/?${query}`);
  }
}

/** Clients of a repository. */
const PUSHERS = 3;
/** Pushes of each client: with more, the repository grows faster than it can be checked. */
const PUSHES = 6;

const fill = async (registry: PushTarget, repository: string): Promise<void> => {
  const push = pusher(registry, repository);
  for (const n of VERSIONS) await push(version(n), `v${n}`);
  for (let n = 0; n < PUSHERS; n++) await push(stable(n), `stable${n}`);
  for (const each of FRESH) await push(each);
};

/** What a script does that deletes by a list: nothing is checked again. */
const blindly = async (client: RegistryClient, writer: RegistryWriter, repositories: string[]): Promise<void> => {
  const plan = await planRemote(client, { policy: POLICY, now: Date.now(), repositories });
  for (const { remote, plan: each } of plan.repositories) {
    for (const digest of each.removedManifests) await writer.remove(remote.name, digest);
  }
};

const isWhole = async (client: RegistryClient, repository: string, made: SyntheticManifest): Promise<boolean> => {
  const { status } = await client.manifest(repository, made.descriptor.digest);
  if (status !== 200) return false;
  for (const child of made.manifests) if (!(await isWhole(client, repository, child))) return false;
  for (const { descriptor } of made.blobs) {
    if ((await client.blobHead(repository, descriptor.digest)).status !== 200) return false;
  }
  return true;
};

export interface Race {
  registry: PushTarget;
  /** Cleaned up in one run, each while three clients push to it. */
  repositories: string[];
  /** The folder of the journals; null for a script that deletes by a list. */
  journals: string | null;
  /** From 0 to 1. */
  random: () => number;
  /** Maximum before each push: together as long as a clean-up takes. Milliseconds. */
  pause: number;
  /** Milliseconds. */
  settle: number;
}

/** Cleans up repositories while clients push to them. @returns what became of the pushes */
export const race = async ({
  registry,
  repositories,
  journals,
  random,
  pause,
  settle,
}: Race): Promise<{ tally: Tally; report: RemotePruneReport | null }> => {
  for (const repository of repositories) await fill(registry, repository);
  const { url, credentials } = registry;
  const access: WriterOptions = {
    url: new URL(url),
    credentials: credentials === undefined ? null : { kind: "password", ...credentials },
  };
  const [client, listing, writer] = [
    new RegistryClient(access),
    new PackageListing(access),
    new RegistryWriter(access),
  ];
  try {
    const pushers = repositories.flatMap((name) =>
      Array.from({ length: PUSHERS }, (_, number) => new Pusher(registry, name, number)),
    );
    const pushing = pushers.map((pusher) => pusher.run({ random, pause }));
    let report: RemotePruneReport | null = null;
    if (journals === null) await blindly(client, writer, repositories);
    else {
      const options = { policy: POLICY, now: Date.now(), repositories, listing, journals, writer, settle };
      report = await applyRemotePrune(client, options);
    }
    await Promise.all(pushing);
    const tally = emptyTally();
    for (const pusher of pushers) {
      for (const { repository, tag, made, deed } of pusher.confirmed.values()) {
        tally[deed].pushes++;
        const { status, headers } = await client.manifest(repository, tag);
        if (status !== 200 || headers["docker-content-digest"] !== made.descriptor.digest) tally[deed].lost++;
        else if (!(await isWhole(client, repository, made))) tally[deed].broken++;
      }
    }
    return { tally, report };
  } finally {
    await Promise.all([client.close(), listing.close(), writer.close()]);
  }
};

export const addTo = (sum: Tally, more: Tally): void => {
  for (const deed of DEEDS) {
    for (const field of ["pushes", "lost", "broken"] as const) sum[deed][field] += more[deed][field];
  }
};
