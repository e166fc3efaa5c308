import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const root = join(__dirname, "..");

/** Folder → the folders and packages it must not import. Data flows one way: site → domains → constructs → stacks. */
const FORBIDDEN: Record<string, (imported: string) => boolean> = {
  text: (imported) => isOurs(imported) && !/^text\//.test(imported),
  site: (imported) => isOurs(imported) && !/^(site|text)\//.test(imported),
  registry: (imported) => isOurs(imported) && !/^(registry\/|site\/|text\/|monitoring\/metrics$)/.test(imported),
  hosts: (imported) => isOurs(imported) && !/^(hosts\/|site\/|text\/|monitoring\/metrics$)/.test(imported),
  monitoring: (imported) => isOurs(imported) && !/^(monitoring|site|text)\//.test(imported),
  constructs: (imported) => /^(cli|stacks|review|handbook|test|bench)\//.test(imported),
  stacks: (imported) => /^(cli|review|handbook|test|bench)\//.test(imported),
  review: (imported) => isOurs(imported) && !/^(review|site|text)\//.test(imported),
};

const FOLDERS = [
  "bench",
  "cli",
  "constructs",
  "examples",
  "handbook",
  "hosts",
  "monitoring",
  "registry",
  "review",
  "site",
  "stacks",
  "text",
];

const isOurs = (imported: string): boolean => FOLDERS.includes(imported.split("/", 1)[0] ?? "");

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file))
    .sort();

/** The imports of a file: our own modules as paths from the top, packages by name. */
const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(root, file), "utf8").matchAll(
      /(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["']([^"']+)["']/g,
    ),
  ].map(([, specifier = ""]) =>
    specifier.startsWith(".") ? relative(".", normalize(join(dirname(file), specifier))) : specifier,
  );

/** The modules that a file names by path in a string, in order to bundle or to read them. */
const namedIn = (file: string): string[] =>
  [...readFileSync(join(root, file), "utf8").matchAll(/["'`]([\w-]+\/[\w./-]+)\.ts["'`]/g)]
    .map(([, module = ""]) => module)
    .filter(isOurs);

/** The programs that are bundled for a host or the cluster: their entry points are named, not imported. */
const BUNDLED: Record<string, string> = {
  "constructs/probe-program.ts": "cli/probe",
  "constructs/clean-up-program.ts": "cli/clean-up",
  "hosts/probe.ts": "cli/probe",
  "hosts/warden-program.ts": "cli/maintenance",
};

/** A chain of imports from a module back to itself. */
const circle = (imports: ReadonlyMap<string, readonly string[]>): string[] | undefined => {
  const done = new Set<string>();
  const search = (way: string[]): string[] | undefined => {
    const module = way.at(-1) ?? "";
    if (way.indexOf(module) < way.length - 1) return way.slice(way.indexOf(module));
    if (done.has(module)) return undefined;
    for (const next of imports.get(module) ?? []) {
      const found = search([...way, next]);
      if (found !== undefined) return found;
    }
    done.add(module);
    return undefined;
  };
  for (const module of imports.keys()) {
    const found = search([module]);
    if (found !== undefined) return found;
  }
  return undefined;
};

/** Each folder in registry/, and those that it may import in addition to oci/, which imports none of them. */
const WITHIN_REGISTRY: Record<string, string[]> = {
  oci: [],
  report: [],
  "in-use": [],
  workloads: ["report"],
  storage: ["report", "in-use"],
  remote: ["report", "in-use", "storage"],
  probe: ["report", "in-use", "workloads"],
  "clean-up": ["storage", "remote", "probe"],
};

const existing = (folder: string): boolean => readdirSync(root).includes(folder);

/** What may touch a disk in registry/storage: the doors; and what only uses their descriptors, or files that are no store's. */
const DOORS = [
  "discard-apply.ts",
  "disk-error.ts",
  "disk.ts",
  "folder.ts",
  "lock.ts",
  "reader.ts",
  "repair-apply.ts",
  "scan-threads.ts",
  "scrub.ts",
  "store.ts",
];

describe("the borders of the house", () => {
  test.each(Object.keys(FORBIDDEN))("%s imports only what lies before it", (folder) => {
    const files = sources(folder);
    expect(files.length).toBeGreaterThan(0);
    const broken = files.flatMap((file) =>
      [...importsOf(file), ...namedIn(file)]
        .filter((imported) => FORBIDDEN[folder]?.(imported) && BUNDLED[file] !== imported)
        .map((imported) => `${file} imports ${imported}`),
    );
    expect(broken).toEqual([]);
  });

  test("a program that is bundled is named where it is bundled, and each module that is named exists", () => {
    for (const [file, entry] of Object.entries(BUNDLED)) expect(namedIn(file)).toContain(entry);
    const missing = FOLDERS.flatMap(sources)
      .flatMap(namedIn)
      .filter((module) => !existsSync(join(root, `${module}.ts`)));
    expect(missing).toEqual([]);
  });

  test("within registry, all know oci/, and none is known by what it imports", () => {
    const folders = readdirSync(join(root, "registry"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).sort()).toEqual(Object.keys(WITHIN_REGISTRY).sort());
    const broken = Object.entries(WITHIN_REGISTRY).flatMap(([folder, allowed]) =>
      sources(`registry/${folder}`).flatMap((file) =>
        importsOf(file)
          .filter((imported) => imported.startsWith("registry/"))
          .filter((imported) => ![folder, "oci", ...allowed].includes(imported.split("/")[1] ?? ""))
          .map((imported) => `${file} imports ${imported}`),
      ),
    );
    expect(broken).toEqual([]);
  });

  test("no imports go in a circle", () => {
    const files = FOLDERS.filter((folder) => folder !== "bench" && folder !== "examples").flatMap(sources);
    expect(circle(new Map(files.map((file) => [file.replace(/\.ts$/, ""), importsOf(file)])))).toBeUndefined();
    expect(circle(new Map(Object.entries({ a: ["b"], b: ["c", "d"], c: [], d: ["b"] })))).toEqual(["b", "d", "b"]);
  });

  test("only constructs and stacks import cdktf, from public paths and never through a barrel", () => {
    const imports = FOLDERS.filter(existing).flatMap((folder) =>
      sources(folder).flatMap((file) =>
        importsOf(file)
          .filter((imported) => /^(cdktf|constructs|@cdktf\/)/.test(imported) && !isOurs(`${imported}/`))
          .map((imported) => ({ folder, file, imported })),
      ),
    );
    expect(imports.filter(({ folder }) => !["constructs", "stacks", "examples", "bench"].includes(folder))).toEqual([]);
    expect(
      imports.filter(({ folder, imported }) => folder !== "bench" && /^(@cdktf\/[\w-]+|cdktf\/.*)$/.test(imported)),
    ).toEqual([]);
    expect(imports.length).toBeGreaterThan(0);
  });

  test("the disk of a store has one door", () => {
    const open = sources("registry/storage").filter((file) => importsOf(file).includes("node:fs"));
    expect(open.map((file) => file.slice("registry/storage/".length))).toEqual(DOORS);
  });

  test("nothing imports the command line, but for a bench or an example that runs it", () => {
    const broken = FOLDERS.filter(
      (folder) => !["bench", "cli", "examples"].includes(folder) && existing(folder),
    ).flatMap((folder) =>
      sources(folder).filter((file) =>
        [...importsOf(file), ...namedIn(file)].some((each) => each.startsWith("cli/") && each !== BUNDLED[file]),
      ),
    );
    expect(broken).toEqual([]);
  });

  test("one module alone writes to the terminal, where what came from outside is escaped", () => {
    const writing = /\bprocess\.std(?:out|err)\.write\(|\bconsole\./;
    const files = FOLDERS.filter((folder) => !["bench", "examples"].includes(folder) && existing(folder)).flatMap(
      sources,
    );
    expect(files.filter((file) => writing.test(readFileSync(join(root, file), "utf8")))).toEqual(["cli/output.ts"]);
  });

  test("the page on where a source is tested names tests that exist", () => {
    const page = readFileSync(join(__dirname, "README.md"), "utf8");
    const named = [...page.matchAll(/`([\w/-]+\.test\.ts)`/g)].map(([, file = ""]) => file);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((file) => !existsSync(join(__dirname, file)))).toEqual([]);
  });

  test("a border that is crossed is seen", () => {
    expect(FORBIDDEN.site?.("hosts/shell")).toBe(true);
    expect(FORBIDDEN.registry?.("monitoring/rules")).toBe(true);
    expect(FORBIDDEN.registry?.("monitoring/metrics")).toBe(false);
    expect(FORBIDDEN.hosts?.("constructs/host-dns")).toBe(true);
    expect(FORBIDDEN.constructs?.("cli/build")).toBe(true);
  });
});
