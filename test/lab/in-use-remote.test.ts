import { readdirSync } from "node:fs";
import { publishReport } from "../../registry/in-use/publish";
import { IN_USE_REPOSITORY } from "../../registry/in-use/report";
import { RegistryClient } from "../../registry/oci/client";
import type { Digest } from "../../registry/oci/digest";
import { RegistryWriter } from "../../registry/oci/push";
import type { RetentionPolicy } from "../../site/retention";
import { verify } from "../registry/oci/fake-registry";
import { RemoteCleanUps } from "../registry/remote/clean-up";
import { describeWith } from "./components";
import { makeOwner, startGitea } from "./gitea";
import { createdOn, digestOf, image, index, push, type SyntheticManifest } from "./images";
import { type LabCredentials, startRegistry } from "./registry";
import { MAXIMUM_AGE_HOURS, unusableReports } from "./unusable-reports";

const HOUR = 3_600_000;
/** In two days, what no tag leads to is no push in progress any more. */
const LATER = Date.now() + 48 * HOUR;
const CLUSTER = "home";
const REPOSITORY = "lab/app";

const UNPROTECTED: RetentionPolicy = { rules: [{ repositories: "lab/*", keepNewest: 1, order: "created" }] };
const PROTECTED: RetentionPolicy = {
  ...UNPROTECTED,
  protectInUse: { clusters: [CLUSTER], maximumAgeHours: MAXIMUM_AGE_HOURS },
};

const version = (seed: string, day: number): SyntheticManifest =>
  index(
    ["amd64", "arm64"].map((architecture) =>
      image(`${seed} ${architecture}`, { platform: { architecture, os: "linux" } }),
    ),
    { annotations: createdOn(day) },
  );
/** Its tag moved, and one platform of it runs; runs although its tag is about to go; runs nowhere; the newest. */
const [moved, aged, nowhere, fresh] = [
  version("moved", 1),
  version("aged", 2),
  version("nowhere", 3),
  version("fresh", 4),
];
const [runs, runsNowhere] = moved.manifests.map(digestOf) as [Digest, Digest];

interface Started {
  url: string;
  credentials?: LabCredentials;
  stop(): Promise<void>;
}

const startOwned = async (): Promise<Started> => {
  const gitea = await startGitea();
  await makeOwner(gitea, IN_USE_REPOSITORY.split("/")[0] ?? "");
  return { url: gitea.url, credentials: gitea.user, stop: () => gitea.stop() };
};

describe.each<[component: "registry" | "gitea", start: () => Promise<Started>]>([
  ["registry", startRegistry],
  ["gitea", startOwned],
])("%s", (component, start) => {
  describeWith([component], "what runs, and a clean-up over HTTP", () => {
    let registry: Started;
    let cleanUp: RemoteCleanUps;
    const access = () => ({
      url: new URL(registry.url),
      credentials: registry.credentials ? ({ kind: "password", ...registry.credentials } as const) : null,
    });

    beforeAll(async () => {
      registry = await start();
      cleanUp = new RemoteCleanUps(access().url, access().credentials);
      await push(registry, REPOSITORY, moved, "latest");
      await push(registry, REPOSITORY, aged, "v1");
      await push(registry, REPOSITORY, nowhere, "v2");
      await push(registry, REPOSITORY, fresh, "latest");
    }, 120_000);
    afterAll(async () => {
      cleanUp?.remove();
      await registry?.stop();
    });

    /** Those of which every byte can be pulled. */
    const whole = async (...digests: Digest[]): Promise<Digest[]> => {
      const { url, credentials } = access();
      const found: Digest[] = [];
      for (const digest of digests) {
        const selection = { kind: "named", tags: [], digests: [digest] } as const;
        const only = { catalog: false, repositories: [REPOSITORY], selection };
        const { failures } = await verify(
          url,
          { ...only, blobs: "hash", credentialsGiven: credentials !== null },
          { credentials },
        );
        if (failures.length === 0) found.push(digest);
      }
      return found;
    };
    const tags = async (): Promise<string[]> => {
      const client = new RegistryClient(access());
      const { body } = await client.tags(REPOSITORY);
      await client.close();
      return (JSON.parse(body.toString()) as { tags: string[] }).tags.sort();
    };
    const apply = (policy: RetentionPolicy) => cleanUp.apply(policy, { now: LATER });

    test.each(unusableReports(CLUSTER, LATER))(
      "a report that is %s refuses it, and nothing goes",
      async (_, made, why) => {
        const report = made();
        if (report !== null) await push(registry, IN_USE_REPOSITORY, report, CLUSTER);
        const refusal = await apply(PROTECTED).catch((error: unknown) => error);
        expect(refusal).toMatchObject({
          code: "in-use",
          message: expect.stringMatching(/^the report of what runs in "home" /),
        });
        expect((refusal as Error).message).toContain(why);
        expect(await tags()).toEqual(["latest", "v1", "v2"]);
        const all = [...moved.manifests, aged, nowhere, fresh].map(digestOf);
        expect(await whole(...all)).toEqual(all);
        const journals = readdirSync(cleanUp.journals, { recursive: true, encoding: "utf8" });
        expect(journals.filter((name) => name.endsWith(".jsonl"))).toEqual([]);
      },
      120_000,
    );

    test("reported, it stays with its tag and its parts, and the rest goes", async () => {
      const [client, writer] = [new RegistryClient(access()), new RegistryWriter(access())];
      const digests = [runs, digestOf(aged)].sort();
      expect(await publishReport(client, writer, { cluster: CLUSTER, time: LATER - HOUR, digests })).toBe(true);
      await Promise.all([client.close(), writer.close()]);

      const named = (await cleanUp.plan(UNPROTECTED, { now: LATER })).inUse.removed.map(({ digest }) => digest);
      expect(named).toContain(digestOf(aged));
      // A registry of packages lists also what lost its tag; of another nothing is known, and it stays.
      expect(named.includes(runs)).toBe(component === "gitea");

      const { kept, remove, spared, problems, remaining } = await apply(PROTECTED);
      expect(kept).toContainEqual({ repository: REPOSITORY, tag: "v1", reason: "it runs in home" });
      expect({ spared, problems, remaining }).toEqual({ spared: [], problems: [], remaining: [] });
      expect(remove.tags.map(({ tag }) => tag)).toEqual(["v2"]);
      expect(await tags()).toEqual(["latest", "v1"]);
      const kinds = [runs, runsNowhere, ...[aged, nowhere, fresh].map(digestOf)];
      expect(await whole(...kinds)).toEqual([
        runs,
        ...(component === "gitea" ? [] : [runsNowhere]),
        digestOf(aged),
        digestOf(fresh),
      ]);
    }, 120_000);

    test("unprotected it goes, and an undo brings it back whole", async () => {
      const { inUse, journal } = await apply(UNPROTECTED);
      expect(inUse.removed.map(({ digest }) => digest)).toContain(digestOf(aged));
      expect(await tags()).toEqual(["latest"]);
      expect(await whole(digestOf(aged))).toEqual([]);
      await cleanUp.undo(journal ?? "");
      expect(await tags()).toEqual(["latest", "v1"]);
      expect(await whole(runs, digestOf(aged))).toEqual([runs, digestOf(aged)]);
    }, 120_000);
  });
});
