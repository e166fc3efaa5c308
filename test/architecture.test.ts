import { readdirSync, readFileSync } from "node:fs";
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

/** What a file imports: our own modules as paths from the top, packages by name. */
const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(root, file), "utf8").matchAll(
      /(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["']([^"']+)["']/g,
    ),
  ].map(([, specifier = ""]) =>
    specifier.startsWith(".") ? relative(".", normalize(join(dirname(file), specifier))) : specifier,
  );

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
      importsOf(file)
        .filter((imported) => FORBIDDEN[folder]?.(imported))
        .map((imported) => `${file} imports ${imported}`),
    );
    expect(broken).toEqual([]);
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

  test("nothing imports the command line, but for a bench that runs it", () => {
    const broken = FOLDERS.filter((folder) => folder !== "cli" && folder !== "bench" && existing(folder)).flatMap(
      (folder) => sources(folder).filter((file) => importsOf(file).some((imported) => imported.startsWith("cli/"))),
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

  test("a border that is crossed is seen", () => {
    expect(FORBIDDEN.site?.("hosts/shell")).toBe(true);
    expect(FORBIDDEN.registry?.("monitoring/rules")).toBe(true);
    expect(FORBIDDEN.registry?.("monitoring/metrics")).toBe(false);
    expect(FORBIDDEN.hosts?.("constructs/host-dns")).toBe(true);
    expect(FORBIDDEN.constructs?.("cli/build")).toBe(true);
  });
});
