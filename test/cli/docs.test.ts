import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../cli/warden";
import { reference, type WholeInput } from "../sites";

let directory: string;
let sites = 0;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "docs-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
  process.exitCode = undefined;
  jest.restoreAllMocks();
});

const docs = async (site: WholeInput, ...args: string[]): Promise<{ code: number; out: string[]; err: string }> => {
  // A new name each time: Node loads a file only once per process.
  const file = join(directory, `site-${sites++}.json`);
  writeFileSync(file, JSON.stringify(site));
  let out = "";
  let err = "";
  jest.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
  process.exitCode = undefined;
  const code = await main(["docs", "--site", file, "--output", join(directory, "docs"), ...args]);
  return { code, out: out.split("\n").filter((line) => line !== ""), err };
};

/** The reference site with a different address for its deferred host. */
const moved = (): WholeInput => {
  const site = structuredClone(reference);
  Object.assign(site.hosts[2] ?? {}, { address: "192.0.2.78" });
  return site;
};

test("writes every page, then nothing, and the check agrees", async () => {
  const first = await docs(reference);
  expect(first.code).toBe(0);
  expect(first.out).toContain(`wrote ${join(directory, "docs/runbooks/pve.md")}`);
  const page = join(directory, "docs", "services.md");
  const before = statSync(page).mtimeMs;
  expect(await docs(reference)).toMatchObject({ code: 0, out: [] });
  expect(statSync(page).mtimeMs).toBe(before);
  expect(await docs(reference, "--check")).toEqual({ code: 0, out: [], err: "" });
});

test("after a change of the site the check fails, names the pages, and writes nothing, until they are written", async () => {
  await docs(reference);
  const before = readFileSync(join(directory, "docs/services.md"), "utf8");
  const { code, out, err } = await docs(moved(), "--check");
  expect(code).toBe(1);
  expect(out).toEqual(
    ["services.md", "runbooks/truenas.md", "topology.svg"].map((page) => `stale ${join(directory, "docs", page)}`),
  );
  expect(err).toBe('the documents differ from the site; write them with "npm run docs"\n');
  expect(readFileSync(join(directory, "docs/services.md"), "utf8")).toBe(before);
  expect((await docs(moved())).code).toBe(0);
  expect(await docs(moved(), "--check")).toEqual({ code: 0, out: [], err: "" });
});

test("removes a page that is no longer generated, and keeps handwritten ones", async () => {
  await docs(reference);
  const pages = join(directory, "docs");
  writeFileSync(join(pages, "runbooks/old-host.md"), readFileSync(join(pages, "runbooks/pve.md")));
  mkdirSync(join(pages, "adr"));
  writeFileSync(join(pages, "adr/0001-x.md"), "# By hand\n");
  expect((await docs(reference, "--check")).out).toEqual([`obsolete ${join(pages, "runbooks/old-host.md")}`]);
  expect((await docs(reference)).out).toEqual([`removed ${join(pages, "runbooks/old-host.md")}`]);
  expect(readdirSync(join(pages, "runbooks"))).not.toContain("old-host.md");
  expect(readdirSync(join(pages, "adr"))).toEqual(["0001-x.md"]);
});

test("a site with errors is reported in one line", async () => {
  const site = moved();
  site.hosts[0]?.resolver?.nameservers.pop();
  const { code, err } = await docs(site);
  expect(code).toBe(2);
  expect(err).toMatch(/^error: hosts\[0\]\.resolver\.nameservers: .*; .*\n$/);
});
