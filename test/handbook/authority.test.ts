import { commandsOf } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { imagePipelines } from "../../handbook/image-pipeline";
import { probedService, type Site, serviceInstance } from "../../site/schema";
import { parsed, reference, SHIPPED, type WholeInput } from "../sites";

/** The same site, but its registries have certificates from a private CA. */
const withAuthority = (site: WholeInput): WholeInput => ({
  ...site,
  monitoring: {
    ...site.monitoring,
    probes: site.monitoring.probes.map((probe) => ({
      ...probe,
      certificateAuthority: { configMap: "registry-ca", key: "ca.crt" },
    })) as WholeInput["monitoring"]["probes"],
  },
});
const SITES: [string, Site][] = [
  ...Object.entries(SHIPPED).map(([name, site]): [string, Site] => [name, parsed(site)]),
  ["reference with a private CA", parsed(withAuthority(reference))],
];

const TRUST = /--ca-file |--cacert |NODE_EXTRA_CA_CERTS=/;

/**
 * A command that sends requests to a registry over TLS. One that only prints its certificate is not, nor is Docker,
 * which has no option for a CA.
 */
const asks = (command: string): boolean =>
  /\b(verify|workloads) |curl |--network host/.test(command) && !/openssl s_client/.test(command);

describe.each(SITES)("the site %s", (_, site) => {
  const probes = site.monitoring?.probes ?? [];
  const instances = (isPrivate: boolean) =>
    probes
      .filter(({ certificateAuthority }) => (certificateAuthority !== undefined) === isPrivate)
      .map((probe) => serviceInstance(site, probedService(site, probe)));
  const pages = documentsOf(site).map((document) => ({
    path: document.path,
    commands: commandsOf(document).map(({ run }) => run.text),
  }));
  const asking = (isPrivate: boolean) =>
    pages.flatMap(({ commands }) =>
      commands.filter(
        (command) => asks(command) && instances(isPrivate).some((instance) => command.includes(`${instance}`)),
      ),
    );

  test("each command that asks a registry of a private CA has it, and no other", () => {
    expect(asking(true).filter((command) => !TRUST.test(command))).toEqual([]);
    expect(asking(false).filter((command) => TRUST.test(command))).toEqual([]);
    expect(asking(true).length > 0).toBe(instances(true).length > 0);
  });

  test("what a command reads was brought by one before it, on the same page", () => {
    for (const { path, commands } of pages)
      for (const [index, command] of commands.entries())
        for (const [, file = ""] of command.matchAll(/(?:--ca-file|--cacert) (\S+)/g))
          expect([path, commands.slice(0, index).some((before) => before.endsWith(` > ${file}`))]).toEqual([
            path,
            true,
          ]);
  });
});

test("Docker on the registry host trusts it before it logs in, and a pipeline has it beside the program", () => {
  const site = parsed(withAuthority(reference));
  const rebuild = documentsOf(site).find(({ path }) => path === "runbooks/rebuild-image.md");
  const commands = rebuild === undefined ? [] : commandsOf(rebuild).map(({ run }) => run.text);
  const trusted = commands.findIndex((command) => /^install .*\/etc\/docker\/certs\.d\/\S+\/ca\.crt$/.test(command));
  expect(trusted).toBeGreaterThan(-1);
  expect(trusted).toBeLessThan(commands.findIndex((command) => command.startsWith("docker login")));
  expect([...imagePipelines(site).values()].join()).toContain("--ca-file ci/ca.pem");
});
