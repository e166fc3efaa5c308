import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv";
import { parse, stringify } from "yaml";
import { registryDelivery } from "../../hosts/registry";
import { registryPaths } from "../../site/registry";
import { parsed, reference, referenceSite, small, type WholeInput } from "../sites";
import { describeWith } from "./components";
import { freePort, startProcess, temporaryFolder } from "./process";

const withCredentials: WholeInput = {
  ...reference,
  registry: {
    ...reference.registry,
    services: reference.registry.services.map((service) =>
      service.role === "proxy" && service.name === "ghcr"
        ? { ...service, credentialsFile: "/opt/registry/$HOME/ghcr.env" }
        : service,
    ),
  },
};
const strange: WholeInput = {
  ...reference,
  hosts: reference.hosts.map((host) => ({ ...host, title: `it's "$HOME" \`id\` \${x} # : {} \\n 100%` })),
  registry: { ...reference.registry, directory: '/srv/a b/it\'s "$HOME"/${x}' },
};
const sites = { reference, small, "one with upstream credentials": withCredentials, "one with strange paths": strange };

const composeOf = (input: WholeInput): string =>
  delivered(input, registryPaths(parsed(input).registry.directory).compose);
const delivered = (input: WholeInput, file: string): string =>
  registryDelivery(parsed(input)).files.find(({ path }) => path === file)?.content ?? "";

describeWith(["docker-compose"], "the compose file, read by docker compose", (components) => {
  const [program, ...args] = components["docker-compose"].command;
  const config = (content: string, ...options: string[]): string =>
    execFileSync(program, [...args, "--file", "-", "config", ...options], {
      input: content,
      encoding: "utf8",
      stdio: "pipe",
    });

  test.each(Object.keys(sites) as (keyof typeof sites)[])("of the %s site is accepted", (name) => {
    // compose also reads the operator's files, which do not exist here.
    const file = parse(composeOf(sites[name]));
    for (const service of Object.values<{ env_file?: unknown }>(file.services)) delete service.env_file;
    expect(() => config(stringify(file), "--quiet")).not.toThrow();
  });

  test("with the override, the private registry alone is read-only, and differs in nothing else", () => {
    const folder = temporaryFolder("compose");
    const { compose, readOnlyCompose, readOnlyConfig } = registryPaths(reference.registry.directory);
    const write = (name: string, content: string): string => {
      const file = parse(content);
      for (const service of Object.values<{ env_file?: unknown }>(file.services)) delete service.env_file;
      writeFileSync(join(folder, name), stringify(file));
      return join(folder, name);
    };
    const files = [
      write("docker-compose.yml", delivered(reference, compose)),
      write("read-only.yml", delivered(reference, readOnlyCompose("private"))),
    ];
    const servicesOf = (...paths: string[]) =>
      JSON.parse(
        execFileSync(
          program,
          [
            ...args,
            ...paths.flatMap((path) => ["--file", path]),
            "--profile",
            "maintenance",
            "config",
            "--format",
            "json",
          ],
          { encoding: "utf8" },
        ),
      ).services;
    const [before, after] = [servicesOf(...files.slice(0, 1)), servicesOf(...files)];
    const { "registry-private": writing, ...others } = before;
    const { "registry-private": readOnly, ...otherwise } = after;
    expect(Object.keys(others)).toContain("warden");
    expect(otherwise).toEqual(others);
    const { volumes, labels, ...rest } = readOnly;
    expect(rest).toEqual({ ...writing, volumes: undefined, labels: undefined });
    expect(labels).not.toEqual(writing.labels);
    expect(volumes.map(({ target }: { target: string }) => target).sort()).toEqual(
      writing.volumes.map(({ target }: { target: string }) => target).sort(),
    );
    expect(volumes.map(({ source }: { source: string }) => source)).toContain(readOnlyConfig("private"));
    rmSync(folder, { recursive: true });
  });

  test("holds any string as it is once compose has read it", () => {
    // Its output escapes each dollar again.
    const { services } = JSON.parse(config(composeOf(strange), "--format", "json").replaceAll("$$", () => "$"));
    const site = parsed(strange);
    expect(services["registry-ui"].environment.REGISTRY_TITLE).toBe(
      site.hosts.find(({ name }) => name === site.registry.host)?.title,
    );
    expect(services["registry-private"].volumes[0].source).toBe('/srv/a b/it\'s "$HOME"/${x}/data/private');
  });

  test("fails where a service is no service", () => {
    expect(() => config("services: { a: { imag: b } }", "--quiet")).toThrow(/imag/);
  });
});

describeWith(["compose-schema"], "the compose file, by compose-spec's schema", (components) => {
  const schema = JSON.parse(readFileSync(components["compose-schema"].command[0], "utf8"));
  delete schema.$schema;
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);

  test.each(Object.keys(sites) as (keyof typeof sites)[])("of the %s site is valid", (name) => {
    expect(validate(parse(composeOf(sites[name])))).toBe(true);
  });

  test("fails where a field is none of compose", () => {
    expect(validate({ services: { a: { image: "b", helthcheck: {} } } })).toBe(false);
  });
});

describeWith(["registry"], "each configuration, read by the registry", ({ registry }) => {
  const folder = temporaryFolder("registry-configuration");
  afterAll(() => rmSync(folder, { recursive: true }));
  const site = referenceSite;

  /** Writes the delivered configuration, adapted to this machine: ports, paths, and no upstream. */
  const written = async (name: string): Promise<string> => {
    const path = registryPaths(site.registry.directory).config(name);
    const content = registryDelivery(site).files.find((file) => file.path === path)?.content ?? "";
    const [port, debugPort] = [await freePort(), await freePort()];
    const data = join(folder, name);
    mkdirSync(data);
    writeFileSync(join(data, "htpasswd"), "");
    const configuration = join(folder, `${name}.yml`);
    writeFileSync(
      configuration,
      content
        .replace("rootdirectory: /var/lib/registry", `rootdirectory: ${data}`)
        .replace("path: /auth/htpasswd", `path: ${data}/htpasswd`)
        .replace(/addr: :\d+/, `addr: 127.0.0.1:${port}`)
        .replace(/addr: :\d+/, `addr: 127.0.0.1:${debugPort}`)
        .replace(/remoteurl: .*/, "remoteurl: http://127.0.0.1:9"),
    );
    return configuration;
  };
  const named = (role: "private" | "proxy") =>
    site.registry.services.filter((service) => service.role === role).map(({ name }) => name);

  test.each(named("private"))("of %s is accepted: it listens", async (name) => {
    const running = await startProcess([...registry.command, "serve", await written(name)], {
      ready: (process) => process.output().includes("listening on"),
    });
    await running.stop();
  });

  test.each(named("proxy"))("of %s is accepted: it comes to ask its upstream, which is nobody here", async (name) => {
    const [program, ...args] = registry.command;
    const { stderr } = spawnSync(program, [...args, "serve", await written(name)], {
      encoding: "utf8",
      timeout: 20_000,
    });
    expect(stderr).toMatch(/Get "?http:\/\/127\.0\.0\.1:9\/v2\/"?: .*connection refused/);
  });
});
