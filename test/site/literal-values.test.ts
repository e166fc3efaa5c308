import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSite } from "../../site/load";
import { siteSchema } from "../../site/schema";
import { createApp } from "../../stacks/app";
import { reference, SHIPPED } from "../sites";
import { schemaStrings, type Written, writtenStrings } from "./strings";

const folder = mkdtempSync(join(tmpdir(), "literal-"));
afterAll(() => rmSync(folder, { recursive: true }));

// biome-ignore lint/suspicious/noExplicitAny: fields that no shipped site needs are added to one of them
const bent = (name: string, bend: (site: any) => void): unknown => {
  const site = structuredClone(SHIPPED[name]);
  bend(site);
  return site;
};

const KEY = `ecdsa-sha2-nistp256 ${"A".repeat(88)}=`;
const DIGEST = `sha256:${"0".repeat(64)}`;

/** Together they have every string field of the schema. */
const SAMPLES: unknown[] = [
  ...Object.values(SHIPPED),
  bent("company", (site) => {
    Object.assign(site.hosts[0].ssh, { hostKey: KEY, jump: { address: "192.0.2.9", user: "root", hostKey: KEY } });
    site.state.endpoint = "https://s3.example";
    Object.assign(site.monitoring, {
      externalRegistries: [{ name: "forge", url: "https://forge.example", role: "proxy" }],
    });
    Object.assign(site.ci, { runner: "own" });
    site.monitoring.cluster = "k3s";
    const { netplan: _, ...resolver } = site.hosts[1].resolver;
    site.hosts[1].resolver = { ...resolver, networkd: { network: "10-lan.network", interface: "ens192" } };
    Object.assign(site.registry.services[0], { volume: "hub_data", metricsPort: 5001, metricsAddress: "192.0.2.9" });
    Object.assign(site.registry.services[2], { data: "/srv/images" });
    for (const image of [...Object.values(site.registry.images), site.monitoring.probeImage])
      Object.assign(image as object, { digest: DIGEST });
  }),
  bent("no-kubernetes", (site) => {
    Object.assign(site.monitoring.pushgateway, { listen: "192.0.2.40" });
    site.monitoring.pushgateway.image.digest = DIGEST;
    site.registry.maintenance.pushgateway = "http://192.0.2.41:9091";
    site.state = { backend: "http", address: "https://state.example" };
    site.name = "box";
    site.registry.services[1].retention.rules[0].keep = ["stable"];
    site.registry.maintenance.scrub = [{ days: ["sun"], at: "05:00" }];
    Object.assign(site.monitoring.probes[0], { repositories: ["team/tool"], platforms: ["linux/amd64"] });
  }),
  bent("forgejo", (site) => {
    const { cleanUp } = site.monitoring.externalRegistries[0];
    cleanUp.credentials = { from: "variables", secret: "forge-clean-up", revision: 1 };
  }),
  bent("reference", (site) => {
    site.registry.images.ui.digest = DIGEST;
    site.ci.buildPlugin.digest = DIGEST;
    site.registry.services.find(({ role }: { role: string }) => role === "private").retention.protectInUse = {
      clusters: ["cluster"],
      maximumAgeHours: 24,
    };
  }),
];

const set = (site: unknown, { path }: Written, value: string): unknown => {
  const copy = structuredClone(site);
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((each, key) => (each as Record<string | number, unknown>)[key], copy);
  (parent as Record<string | number, unknown>)[path.at(-1) ?? ""] = value;
  return copy;
};

const at = (site: unknown, { path }: Written): string =>
  String(path.reduce<unknown>((each, key) => (each as Record<string | number, unknown>)[key], site));

const FIELDS = schemaStrings();

/** The values of each field in the samples. */
const VALUES = new Map<string, string[]>();
for (const sample of SAMPLES)
  for (const written of writtenStrings(sample))
    VALUES.set(written.field, [...(VALUES.get(written.field) ?? []), at(sample, written)]);

test("the samples hold every string that the schema knows: a new field is tried here, or this fails", () => {
  for (const sample of SAMPLES) expect(() => parseSite(sample, "sample")).not.toThrow();
  expect(FIELDS.map(({ field }) => field).filter((field) => !VALUES.has(field))).toEqual([]);
  expect(FIELDS.length).toBeGreaterThan(70);
});

test.each([
  ["a line end", "\n"],
  ["a carriage return", "\r"],
  ["a tab", "\t"],
  ["an escape", "\u001b"],
  ["a null", "\0"],
  ["a line separator", "\u2028"],
])("no string takes %s, wherever it is in it", (_, character) => {
  const taken = FIELDS.filter(({ field, takes }) =>
    ["a", ...(VALUES.get(field) ?? [])].some((value) =>
      [`${value}${character}`, `${character}${value}`, `${value}${character}${value}`].some(takes),
    ),
  );
  expect(taken.map(({ field }) => field)).toEqual([]);
});

const fieldTakes = (field: string, value: string): boolean =>
  FIELDS.some((each) => each.field === field && each.takes(value));

/** Text that Terraform would evaluate, as a whole value and after a path, a URL or a name. */
const PLANTED = ['${file("planted")}', "%{ planted }", '${file("planted")}%{planted}'];

test("whatever Terraform would evaluate is literal in every stack", () => {
  let number = 0;
  for (const sample of SAMPLES) {
    // Every string field that accepts it gets it, as far as the fields are consistent with each other.
    let hostile = sample;
    let taken = 0;
    for (const written of writtenStrings(sample)) {
      const before = written.path.reduce<unknown>(
        (each, key) => (each as Record<string | number, unknown>)[key],
        sample,
      );
      for (const value of PLANTED.toReversed().flatMap((text) => [text, `${before}${text}`, `${before}/${text}`])) {
        if (!fieldTakes(written.field, value)) continue;
        const changed = set(hostile, written, value);
        if (!siteSchema.safeParse(changed).success) continue;
        hostile = changed;
        taken++;
        break;
      }
    }
    if (taken === 0) continue;
    const output = mkdtempSync(join(folder, "stacks-"));
    number++;
    createApp(parseSite(hostile, "sample"), output).synth();
    for (const stack of readdirSync(join(output, "stacks"))) {
      const text = readFileSync(join(output, "stacks", stack, "cdk.tf.json"), "utf8");
      expect([stack, /(?<!\$)\$\{file\(\\*"planted|(?<!%)%\{ ?planted/.exec(text)?.[0]]).toEqual([stack, undefined]);
    }
  }
  expect(number).toBeGreaterThan(2);
});

test("the context of the kubeconfig is one of them", () => {
  const site = structuredClone(reference);
  Object.assign(site.monitoring.kubernetes ?? {}, { context: '${file("planted")}' });
  const output = join(folder, "context");
  createApp(parseSite(site), output).synth();
  const { provider } = JSON.parse(readFileSync(join(output, "stacks/monitoring/cdk.tf.json"), "utf8"));
  expect(provider.kubernetes[0].config_context).toBe('$${file("planted")}');
  expect(JSON.stringify(provider.helm)).toContain("$${file(");
});
