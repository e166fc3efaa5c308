import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Command, commandsOf, type Document } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { managedHosts } from "../../site/schema";
import { stateKey } from "../../site/stacks";
import { referenceSite, type WholeSite } from "../sites";
import { importNextRegistry } from "./docker-images";
import { describeWithHosts } from "./hosts";
import { RunbookLab } from "./runbook-lab";

const root = join(__dirname, "../..");

/** These are run by runbooks-cluster.test.ts. */
const IN_CLUSTER = /\bkubectl /;

/** The next version of the registry, as the runbook names it. */
const NEXT = /registry:(3\S*)$/;

/** Installing it takes 420 MB, so a test run never does that on its own. */
const isInstalled = existsSync(join(root, "tools/cdktf/node_modules/.package-lock.json"));

const describeRunbooks: typeof describeWithHosts = (names, title, body) =>
  isInstalled
    ? describeWithHosts(names, title, body)
    : describe.skip(title, () =>
        test("skipped: cdktf-cli: not installed: run tools/cdktf/run --version", () => undefined),
      );

describeRunbooks(
  ["nginx", "registry", "registry-v3", "openssl", "terraform", "pushgateway"],
  "the commands of the runbooks, on booted hosts",
  (components) => {
    const lab = new RunbookLab(components);

    beforeAll(async () => {
      await lab.up();
      const trial = documentsOf(lab.site)
        .flatMap(commandsOf)
        .find(({ run }) => NEXT.test(run.text));
      importNextRegistry(
        lab.hosts,
        components["registry-v3"],
        `${lab.site.registry.images.registry.repository}:${NEXT.exec(trial?.run.text ?? "")?.[1]}`,
      );
    }, 600_000);
    afterAll(() => lab.down());

    let edits = 0;
    /** Does what the text of a page requires before a command. */
    const beforehand = (page: Document, { run }: Command): void => {
      const { site, siteFile, checkout } = lab;
      const write = (changed: WholeSite): void => writeFileSync(siteFile, JSON.stringify(changed));
      const { services, images } = site.registry;
      const isHost = managedHosts(site).some(({ name }) => page.path === `runbooks/${name}.md`);
      if (isHost && run.text === "npm run plan") {
        // A different change each time: a stack without one is not deployed.
        edits += 1;
        write({
          ...site,
          hosts: site.hosts.map((host) =>
            host.resolver === undefined
              ? host
              : {
                  ...host,
                  resolver: { ...host.resolver, search: [...host.resolver.search, `change${edits}.example.org`] },
                },
          ),
          registry: {
            ...site.registry,
            services: services.map((service) =>
              service.role === "private" ? { ...service, purgeUploadsAfterHours: 100 + edits } : service,
            ),
          },
        });
      }
      if (run.text.startsWith("chown root ")) lab.bringCertificate(".new");
      if (run.text.startsWith("read -rp 'name: '")) lab.breakImage();
      const [, tag] = NEXT.exec(run.text) ?? [];
      if (tag !== undefined)
        write({
          ...site,
          registry: { ...site.registry, images: { ...images, registry: { ...images.registry, tag } } },
        });
      const state = join(checkout, stateKey(site, "dns"));
      if (run.text.startsWith("ls -l ")) {
        mkdirSync(dirname(state), { recursive: true });
        writeFileSync(`${state}.backup`, "{}");
      }
      if (page.path === "runbooks/terraform-state.md" && run.text.endsWith("deploy dns registry-vm"))
        rmSync(dirname(state), { recursive: true });
    };

    /** What worked as written, by place and text: the alert pages are similar, and each starts from the same hosts. */
    const seen = new Set<string>();
    const isRepeated = ({ path }: Document, { place, run }: Command): boolean =>
      path.startsWith("alerts/") && !/\bread -r/.test(run.text) && seen.has(`${place.host}: ${run.text}`);

    /** Runs the commands of a page in order, in one shell for each place. @returns what did not work as written */
    const wrong = async (page: Document): Promise<string[]> => {
      const session = lab.session();
      const errors: string[] = [];
      for (const command of commandsOf(page)) {
        const { run, notRun } = command;
        if (notRun !== undefined || IN_CLUSTER.test(run.text) || isRepeated(page, command)) continue;
        beforehand(page, command);
        const { status, output, asExpected } = await session.type(command);
        if (/delivery\.sh rollback$|warden -- rollback \S+$/.test(run.text)) lab.restore();
        if (asExpected) seen.add(`${command.place.host}: ${run.text}`);
        else errors.push(`${run.text}\n  status ${status}: ${output}`);
      }
      return errors;
    };

    const pages = documentsOf(referenceSite).map(({ path }) => path);

    test.each(pages.filter((path) => path !== "README.md" && path !== "services.md" && path !== "site.md"))(
      "%s",
      async (path) => {
        expect(await wrong(lab.page(path))).toEqual([]);
        if (readFileSync(lab.siteFile, "utf8") !== JSON.stringify(lab.site)) lab.restore();
      },
      600_000,
    );

    test("those that can only be parsed are these", () => {
      const parsed = documentsOf(lab.site).flatMap((page) =>
        commandsOf(page).flatMap(({ run, notRun }) => (notRun === undefined ? [] : [`${run.text} (${notRun})`])),
      );
      process.stdout.write(
        `commands of the runbooks that were only parsed:\n${[...new Set(parsed)].map((line) => `  ${line}\n`).join("")}`,
      );
      expect(parsed.length).toBeGreaterThan(0);
    });
  },
);
