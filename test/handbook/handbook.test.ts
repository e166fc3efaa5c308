import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import * as fc from "fast-check";
import { adviceFor } from "../../handbook/alert-advice";
import { type Command, commandsOf, type Document, GENERATED_PAGE } from "../../handbook/document";
import { documentsOf, handbook } from "../../handbook/handbook";
import { SITE_REFERENCE } from "../../handbook/site-reference";
import { topology } from "../../handbook/topology";
import { REGISTRY_PORT } from "../../hosts/registry-configuration";
import { rulesFor } from "../../monitoring/rules";
import { line as oneLine } from "../../site/fields";
import { parsed, reference, referenceSite, small, type WholeInput } from "../sites";

const root = join(__dirname, "../..");

const pagesOf = (site: WholeInput): ReadonlyMap<string, string> => handbook(parsed(site));
const pages = pagesOf(reference);
const markdownPages = [...pages].filter(([path]) => path.endsWith(".md"));

/** The reference site with each of its values replaced, as in a fork. */
const another: WholeInput = JSON.parse(
  (
    [
      ["192\\.168\\.1\\.", "198.51.100."],
      ["10\\.0\\.", "172.16."],
      ["94\\.140\\.14\\.14", "203.0.113.9"],
      ["viktorbarzin", "example"],
      ["github\\.com", "gitea.example"],
      ["idrac", "console"],
      ['"pve"', '"alpha"'],
      ['"registry-vm"', '"beta"'],
      ['"truenas"', '"gamma"'],
      ["TrueNAS", "Storage box"],
      ["Proxmox host", "hypervisor"],
      ["registry VM", "image machine"],
      ["docker-compose-registry", "images"],
      ["/opt/registry", "/srv/images"],
      ["registry-integrity-probe", "walker"],
      ["registry-probe-credentials", "walker-account"],
      ["prometheus-prometheus-pushgateway", "gateway"],
      ["infra-ci", "builder"],
      ["ci/Dockerfile", "images/builder.Dockerfile"],
      ['"master"', '"trunk"'],
      ["registry_user", "ci_account"],
      ["registry_password", "ci_secret"],
      ["Synology", "the other house"],
      ["10-internal-dns", "20-names"],
      ["50-cloud-init", "60-hand-made"],
      ["eth0", "ens18"],
      ["joxit/docker-registry-ui", "joxit/another-ui"],
      ["2\\.5\\.7", "2.6.1"],
      ["2\\.8\\.3", "2.8.9"],
      ["1\\.28\\.0", "1.28.9"],
      ["26\\.9\\.0-slim", "26.9.9-slim"],
      ["dockerhub", "hub"],
      ["kyverno", "policy"],
      [":50(\\d0)", ":61$1"],
      [":5001", ":6101"],
      [":8080", ":8181"],
      ["ghcr", "packages"],
      ["quay", "pier"],
      ["unreachable when the change was made", "switched off"],
      ["whoever is on call for the cluster", "the night shift"],
      ["the maintainer of this repository", "its neighbor"],
    ] as const
  ).reduce((json, [from, to]) => json.replaceAll(new RegExp(from, "g"), to), JSON.stringify(reference)),
);

const leaves = (value: unknown): string[] =>
  typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [String(value)];

/** Whether a text contains a value as a whole word. */
const mentions = (text: string, value: string): boolean =>
  new RegExp(`(?<![\\w.-])${value.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")}(?![\\w-])`).test(text);

/** GitHub's anchor of a heading. */
const anchors = (markdown: string): string[] => {
  const seen = new Map<string, number>();
  return withoutFences(markdown)
    .filter((line) => /^#+ /.test(line))
    .map((line) => {
      const slug = line
        .replace(/^#+ /, "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-");
      const before = seen.get(slug) ?? 0;
      seen.set(slug, before + 1);
      return before === 0 ? slug : `${slug}-${before}`;
    });
};

const withoutFences = (markdown: string): string[] => {
  let fence: string | undefined;
  return markdown.split("\n").filter((line) => {
    const mark = line.match(/^(`{3,})/)?.[1];
    if (fence !== undefined) {
      if (mark !== undefined && line === fence) fence = undefined;
      return false;
    }
    fence = mark;
    return mark === undefined;
  });
};

/** Handwritten pages, by their path below docs/. */
const handwritten = [
  "guide.md",
  "library.md",
  ...["adr", "post-mortems"].flatMap((folder) =>
    readdirSync(join(root, "docs", folder)).map((file) => join(folder, file)),
  ),
].map((path): [string, string] => [path, readFileSync(join(root, "docs", path), "utf8")]);

const commands = (site: WholeInput): [Document, Command][] =>
  documentsOf(parsed(site)).flatMap((document) =>
    commandsOf(document).map((command): [Document, Command] => [document, command]),
  );

describe("the values of a site", () => {
  /** Values that are also names of the product (a stack) or common terms. */
  const OURS = [
    String(REGISTRY_PORT),
    "registry-vm",
    "registry",
    "private",
    "monitoring",
    "nginx",
    "latest",
    "prometheus",
    "true",
    "false",
  ];

  const gone = [...new Set(leaves(reference))].filter(
    (value) => !leaves(another).includes(value) && !OURS.includes(value) && value.length > 2,
  );

  test("are no literals of the templates: another site's documents hold none of them", () => {
    // The reference of the fields comes from the schema, examples included.
    const own = [...pagesOf(another)].filter(([path]) => path !== SITE_REFERENCE);
    const found = own.flatMap(([path, text]) =>
      gone.filter((value) => mentions(text, value)).map((value) => `${path}: ${value}`),
    );
    expect(gone.length).toBeGreaterThan(50);
    expect(found).toEqual([]);
  });

  test("are no literals of the templates: their sources hold no address, host name, image or path", () => {
    const particular = [...new Set(leaves(reference))].filter(
      (value) =>
        /^(\d+\.){3}\d+$|^[~/]|\/\/|\.(lan|me|io|com)$|:\d+$|^\d{4}$/.test(value) || ["pve", "truenas"].includes(value),
    );
    const found = readdirSync(join(root, "handbook")).flatMap((file) => {
      const source = readFileSync(join(root, "handbook", file), "utf8").replace(/\/\/ .*|\/\*\*[\s\S]*?\*\//g, "");
      return particular.filter((value) => mentions(source, value)).map((value) => `${file}: ${value}`);
    });
    expect(particular.length).toBeGreaterThan(20);
    expect(found).toEqual([]);
  });

  test.each<[string, (site: WholeInput) => void, string, string]>([
    [
      "a resolver",
      (site) => Object.assign(site.hosts[0]?.resolver ?? {}, { nameservers: ["192.0.2.77", "94.140.14.14"] }),
      "192.168.1.2",
      "192.0.2.77",
    ],
    [
      "the address of a deferred host",
      (site) => Object.assign(site.hosts[2] ?? {}, { address: "192.0.2.78" }),
      "10.0.10.15",
      "192.0.2.78",
    ],
    ["the port of a cache", (site) => Object.assign(site.registry.services[1] ?? {}, { port: 5999 }), "5010", "5999"],
    [
      "the off-site copy",
      (site) => Object.assign(site.registry.offsiteCopy ?? {}, { title: "Attic" }),
      "Synology",
      "Attic",
    ],
    ["the branch of CI", (site) => Object.assign(site.ci?.images[0] ?? {}, { branch: "trunk" }), "master", "trunk"],
  ])("%s changes only the documents that mention it", (_, change, before, after) => {
    const site = structuredClone(reference);
    change(site);
    const changed = [...pagesOf(site)].filter(([path, text]) => pages.get(path) !== text);
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.length).toBeLessThan(pages.size);
    for (const [path, text] of changed) {
      expect([path, mentions(pages.get(path) ?? "", before)]).toEqual([path, true]);
      expect([path, mentions(text, after)]).toEqual([path, true]);
    }
    for (const [path, text] of pages) if (mentions(text, before)) expect(changed.map(([each]) => each)).toContain(path);
  });
});

describe("a site of one host", () => {
  const own = pagesOf(small);

  test("has a runbook for one host, and none for what it lacks", () => {
    const runbooks = [...own.keys()].filter((path) => path.startsWith("runbooks/"));
    expect(runbooks).toEqual([
      "runbooks/box.md",
      "runbooks/rebuild-image.md",
      "runbooks/tag-deleted.md",
      "runbooks/terraform-state.md",
      "runbooks/rotate-credentials.md",
      "runbooks/upgrade-registry.md",
    ]);
  });

  test.each([
    ["the reference site", pages],
    ["a site of one host", own],
  ])("%s has no empty section, no empty table and no empty list", (_, site) => {
    for (const [path, text] of site) {
      if (!path.endsWith(".md")) continue;
      const lines = withoutFences(text).filter((line) => line !== "");
      lines.forEach((line, index) => {
        const [level = 0, next = 0] = [line, lines[index + 1] ?? "# "].map(
          (each) => each.match(/^#+(?= )/)?.[0].length,
        );
        // A section whose only content was a fence is not empty, so look at what follows the heading in the full text.
        if (level > 1 && next > 0 && next <= level)
          expect([path, text.includes(`${line}\n\n#`)]).toEqual([path, false]);
        if (/^\|( --- \|)+$/.test(line)) expect([path, lines[index + 1]]).toEqual([path, expect.stringMatching(/^\|/)]);
        expect([path, line]).not.toEqual([path, expect.stringMatching(/^(-|\d+\.)\s*$/)]);
        expect([path, line]).not.toEqual([path, expect.stringMatching(/undefined|\[object|NaN/)]);
      });
    }
  });
});

describe("every alert", () => {
  const alerts = [...new Set(rulesFor(referenceSite).flatMap(({ rules }) => rules.map(({ alert }) => alert)))];

  test.each(alerts)("%s has a page with what it means, its impact, diagnosis and mitigation", (alert) => {
    const page = pages.get(`alerts/${alert}.md`) ?? "";
    const stopsCleanUp = /IntegrityFailure|MassLoss|CoverageLost/.test(alert);
    expect(anchors(page).filter((anchor) => !/registry\.|^(pve|registry-vm)(-1)?$/.test(anchor))).toEqual([
      alert.toLowerCase(),
      ...(stopsCleanUp ? ["first"] : []),
      "meaning",
      "impact",
      "diagnosis",
      "mitigation",
      ...(stopsCleanUp ? ["last"] : []),
    ]);
  });

  test("that nobody wrote a page for is refused, with the file to write it in", () => {
    expect(() => adviceFor("RegistryOnFire")).toThrow(
      /^the alert RegistryOnFire has no page; write one in handbook\/alert-advice.ts$/,
    );
  });

  test("of several registries has a section for each", () => {
    const site = structuredClone(reference);
    site.monitoring.probes.push({ name: "hub-probe", service: "dockerhub", periodMinutes: 15, deadlineSeconds: 600 });
    const page = pagesOf(site).get("alerts/RegistryCatalogInaccessible.md") ?? "";
    expect(page.match(/^### `.*`$/gm)).toHaveLength(4);
    expect(pagesOf(site).get("alerts/RegistryManifestIntegrityFailure.md")).not.toContain("### ");
  });
});

test("an alert's page about a registry of somebody else sends nobody to our host", () => {
  const given = referenceSite;
  const external = { name: "forge", url: "https://git.example.org", role: "private" as const };
  const probe = {
    ...given.monitoring.probes[0],
    name: "forge-probe",
    service: "forge",
  } as (typeof given.monitoring.probes)[0];
  const pages = handbook({
    ...given,
    monitoring: { ...given.monitoring, externalRegistries: [external], probes: [probe] },
  });
  const text = pages.get("alerts/RegistryManifestIntegrityFailure.md") ?? "";
  expect(text).toContain("verify https://git.example.org");
  expect(text).toContain("Tell whoever runs");
  expect(text).not.toMatch(/systemctl|docker|ssh /);
  expect(pages.get("topology.svg")).toContain("git.example.org");
});

describe("every runbook", () => {
  test.each([
    ["the reference site", pages],
    ["a site of one host", pagesOf(small)],
  ])("of %s says how to verify, and how to take back", (_, site) => {
    const runbooks = [...site].filter(([path]) => path.startsWith("runbooks/"));
    expect(runbooks.length).toBeGreaterThan(3);
    for (const [path, text] of runbooks) {
      expect([path, text]).toEqual([path, expect.stringMatching(/\bverif(y|ies|ied)\b/i)]);
      expect([path, text]).toEqual([
        path,
        expect.stringMatching(/^#+ (Take it back|And back)$|take it back|nothing to take back/im),
      ]);
    }
  });
});

describe("links", () => {
  const all = new Map([...markdownPages, ...handwritten]);

  test.each([...all.keys()])("of %s lead to a page and a heading that exist", (path) => {
    const text = withoutFences(all.get(path) ?? "").join("\n");
    for (const [, target = ""] of text.matchAll(/\]\(([^)]*)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const where = file === "" ? path : normalize(join(dirname(path), file));
      const known = all.has(where) || pages.has(where) || existsSync(join(root, "docs", where));
      expect([target, known]).toEqual([target, true]);
      if (anchor !== undefined) expect(anchors(all.get(where) ?? "")).toContain(anchor);
    }
    expect(text).not.toContain("docs:");
  });

  test("the index names every page", () => {
    const index = pages.get("README.md") ?? "";
    for (const [path] of markdownPages) if (path !== "README.md") expect(index).toContain(`](${path})`);
  });
});

describe("Markdown", () => {
  test.each([...markdownPages, ...handwritten])("%s is in the one form", (_, text) => {
    const lines = text.split("\n");
    expect(lines.filter((line) => /\s$/.test(line))).toEqual([]);
    expect(text).toMatch(/[^\n]\n$/);
    expect(text).not.toMatch(/\n\n\n/);
    const outside = withoutFences(text);
    const levels = outside.filter((line) => /^#+ /.test(line)).map((line) => line.indexOf(" "));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    levels.forEach((level, index) => {
      expect(level - (levels[index - 1] ?? 0)).toBeLessThanOrEqual(1);
    });
    // Headings, fences and tables are separated from their surroundings by blank lines.
    for (const block of text.split("\n\n"))
      if (/^#/.test(block) && !block.includes("```")) expect(block.trim()).not.toContain("\n");
    const cells = outside
      .filter((line) => line.startsWith("|"))
      .map((line) => line.replace(/\\\|/g, "").split("|").length);
    expect(cells.every((count) => count > 2)).toBe(true);
  });

  test("free text of a site stays text", () => {
    const line = fc
      .array(fc.constantFrom("```", "`", "# x", "<b>", "](x)", "|", "*", "a", " ", "$(id)", "'", '"', "${x}", "&lt;"), {
        minLength: 1,
      })
      .map((parts) => parts.join("").trim())
      .filter((text) => text !== "");
    fc.assert(
      fc.property(line, line, (title, reason) => {
        const site = structuredClone(reference);
        Object.assign(site.hosts[0] ?? {}, { title });
        Object.assign(site.hosts[2] ?? {}, { title, deferred: { reason } });
        for (const [path, text] of pagesOf(site)) {
          if (!path.endsWith(".md")) continue;
          const shape = (page: string): string[] =>
            withoutFences(page).map((each) => (/^(#+ |\||- |\d+\. |<|!\[)/.exec(each)?.[0] ?? "").trim());
          expect(shape(text)).toEqual(shape(pages.get(path) ?? ""));
          expect(withoutFences(text).join("\n")).not.toMatch(/(?<!\\|`.*)<b>/);
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("the commands of the runbooks", () => {
  test.each([
    ["the reference site", reference],
    ["another site", another],
    ["a site of one host", small],
  ])("of %s are read by bash", (_, site) => {
    const script = commands(site)
      .map(([{ path }, { run }], index) => `# ${path}\ncommand${index}() {\n${run.text}\n}\n`)
      .join("");
    const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("hold no secret: passwords are asked for, or files of the operator", () => {
    for (const [, { run }] of commands(reference)) expect(run.text).not.toMatch(/--password[ =]|REG_PASS=(?!'?%s)/);
  });

  test("that cannot be run in the lab say why", () => {
    const notRun = commands(reference).flatMap(([, { notRun }]) => (notRun === undefined ? [] : [notRun]));
    expect(notRun.length).toBeGreaterThan(0);
    for (const reason of notRun) expect(reason).toMatch(/^[a-z]\S* \S+/);
  });

  test("never collect garbage with -m", () => {
    for (const [, { run }] of commands(reference)) expect(run.text).not.toMatch(/garbage-collect/);
  });
});

describe("the picture", () => {
  const tags = (svg: string): void => {
    const open: string[] = [];
    for (const [, close, name = "", rest = ""] of svg
      .replace(/<!--[\s\S]*?-->/g, "")
      .matchAll(/<(\/?)([a-z]+)([^>]*)>/g)) {
      if (close === "/") expect(open.pop()).toBe(name);
      else if (!rest.endsWith("/")) open.push(name);
    }
    expect(open).toEqual([]);
  };

  test("shows every host, service, resolver and upstream", () => {
    const svg = topology(referenceSite);
    for (const text of [
      ...reference.hosts.flatMap(({ name, address }) => [name, address]),
      "registry-private",
      "ghcr.io",
      "94.140.14.14",
    ])
      expect(svg).toContain(text);
    tags(svg);
  });

  test("cuts no name and no address, however long", () => {
    const host = `${"registry-mirror-of-the-second-data-center.".repeat(3)}example.org`;
    const site = structuredClone(reference);
    Object.assign(site.hosts[0] ?? {}, { title: "x".repeat(100) });
    Object.assign(site.registry.services.find(({ role }) => role === "proxy") ?? {}, { upstream: `https://${host}` });
    const svg = topology(parsed(site));
    const lines = [...svg.matchAll(/<text [^>]*>([^<]*)/g)].map(([, line = ""]) => line);
    expect(lines.join("")).toContain(host);
    expect(lines.join("")).toContain("x".repeat(100));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(39);
  });

  test("is well-formed whatever the site says", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => oneLine.safeParse(text).success),
        (title) => {
          const site = structuredClone(small);
          Object.assign(site.hosts[0] ?? {}, { title });
          tags(topology(parsed(site)));
        },
      ),
      { numRuns: 50 },
    );
  });
});

test("every page says that it is generated, and from what, and has no gaps", () => {
  for (const [, text] of pages) {
    expect(text.replace(/^# /, "").startsWith(GENERATED_PAGE)).toBe(true);
    expect(text).not.toMatch(/undefined|\[object|NaN/);
  }
});

test("the same site gives the same documents, without a trace of the machine", () => {
  expect([...pagesOf(reference)]).toEqual([...pages]);
  for (const [, text] of pages) expect(text).not.toContain(root);
});

test("runbooks and pages of alerts begin with whom to ask, and with nobody where the site names nobody", () => {
  const named = "**Owner:** somebody \\#1. **No way out within half an hour:** somebody else";
  const given = pagesOf({ ...reference, contact: { owner: "somebody #1", escalation: "somebody else" } });
  for (const [path, text] of given)
    expect([path, text.split("\n")[4] === named]).toEqual([path, /^(runbooks|alerts)\//.test(path)]);
  expect([...pagesOf({ ...reference, contact: undefined }).values()].filter((text) => /Owner:/.test(text))).toEqual([]);
});
