import { interfaces } from "../../handbook/interfaces";
import { METRICS } from "../../monitoring/metrics";
import { PROBE_VARIABLES } from "../../registry/probe/environment";
import { runWarden } from "../cli/run-warden";
import { image, multiPlatformImage } from "../lab/images";
import { FakeRegistry, json } from "../registry/oci/fake-registry";
import { SyntheticStore } from "../registry/storage/synthetic-store";

const [page] = interfaces();
const rows = (page?.body ?? []).flatMap((block) => (block.kind === "table" ? block.rows : []));
const named = new Set(rows.map(([name]) => (name?.markdown ?? "").replace(/`/g, "")));

/** The path of every field in a document, as the page writes them. */
const pathsIn = (value: unknown, path = ""): string[] => {
  if (Array.isArray(value)) return value.flatMap((each) => pathsIn(each, `${path}[]`));
  if (typeof value !== "object" || value === null) return [path];
  const below = Object.entries(value).flatMap(([name, each]) => pathsIn(each, path === "" ? name : `${path}.${name}`));
  return path === "" || path.endsWith("[]") ? below : [path, ...below];
};

const isNamed = (path: string): boolean => {
  const bare = path.replace(/\[\]$/, "");
  return named.has(bare) || named.has(`${bare}?`);
};

test("names every metric and every variable of the probe", () => {
  for (const name of [...Object.keys(METRICS), ...Object.keys(PROBE_VARIABLES)]) expect(named).toContain(name);
});

describe("names every field that a command prints", () => {
  const made = multiPlatformImage("app");
  let registry: FakeRegistry;
  let store: SyntheticStore;
  beforeAll(async () => {
    registry = (await FakeRegistry.start()).push("app", made, "v1").push("untagged", image("untagged"));
    registry.repository("app").manifests.delete(made.manifests[0]?.descriptor.digest ?? "");
    registry.on("/v2/untagged/tags/list", (_request, response) => json(response, 404, {}));
    store = new SyntheticStore().push("app", made, "v1", "v2");
  });
  afterAll(async () => {
    await registry.stop();
    store.remove();
  });

  test.each([
    ["verify", () => [registry.host]],
    ["scan", () => [store.root]],
    ["diagnose", () => [registry.host, store.root]],
    ["prune", () => [store.root, "--keep-newest", "1"]],
    ["repair", () => [registry.host, "--storage", store.root]],
  ])("%s", async (command, args) => {
    const { out } = await runWarden(command, ...args(), "--json");
    const { version, warden, options, ...document } = JSON.parse(out);
    expect(version).toBe(1);
    expect({ warden, options }).toEqual(
      command === "verify" ? { warden: expect.any(String), options: expect.any(Object) } : {},
    );
    // The policy is the site's retention: its fields are listed in the site reference.
    const paths = pathsIn(document).filter((path) => !path.startsWith("policy."));
    expect(paths.length).toBeGreaterThan(5);
    expect(paths.filter((path) => !isNamed(path))).toEqual([]);
  });
});
