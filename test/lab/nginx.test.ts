import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, fetch } from "undici";
import { nginxConfiguration } from "../../hosts/nginx";
import type { Registry } from "../../site/registry";
import { referenceSite } from "../sites";
import { type CertificateAuthority, createCertificateAuthority } from "./certificates";
import { describeWith } from "./components";
import { accepts, freePort, start, temporaryFolder } from "./process";

describeWith(["nginx", "openssl"], "the front, read by nginx", ({ nginx }) => {
  let folder: string;
  let authority: CertificateAuthority;
  let registry: Registry;
  let configuration: string;

  /** The configuration that is delivered, but for what this machine has: free ports, and paths that a test may write to. */
  beforeAll(async () => {
    folder = temporaryFolder("nginx");
    authority = createCertificateAuthority();
    const given = referenceSite.registry;
    const services = [];
    for (const service of given.services) services.push({ ...service, port: await freePort() });
    registry = { ...given, services };
    const pair = authority.issue(["127.0.0.1"]);
    mkdirSync(join(folder, "temp"));
    configuration = join(folder, "nginx.conf");
    writeFileSync(
      configuration,
      nginxConfiguration(registry)
        .replace("pid /tmp/nginx.pid;", `pid ${folder}/nginx.pid;`)
        .replace(/ssl_certificate .*;/, `ssl_certificate ${pair.certificate};`)
        .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${pair.key};`)
        .replaceAll(/listen (\d+)/g, "listen 127.0.0.1:$1")
        .replace(
          "access_log /dev/stdout;",
          [
            "access_log off;",
            ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
              (kind) => `${kind}_temp_path ${folder}/temp/${kind};`,
            ),
          ].join("\n"),
        ),
    );
  });
  afterAll(() => {
    authority.remove();
    rmSync(folder, { recursive: true });
  });

  const [program, ...args] = nginx.command;

  test("is accepted by a version that resolves upstreams while it runs", () => {
    expect(() =>
      execFileSync(program, [...args, "-t", "-c", configuration, "-p", folder], { stdio: "pipe" }),
    ).not.toThrow();
  });

  test("starts where no upstream can be resolved, and answers 502 for each", async () => {
    const running = await start([...nginx.command, "-c", configuration, "-p", folder, "-g", "daemon off;"], {
      ready: () => Promise.all(registry.services.map(({ port }) => accepts(port))).then((open) => open.every(Boolean)),
    });
    try {
      const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
      for (const { port, role } of registry.services) {
        const { status } = await fetch(`${role === "private" ? "https" : "http"}://127.0.0.1:${port}/v2/`, {
          dispatcher,
        });
        expect(status).toBe(502);
      }
      await dispatcher.close();
    } finally {
      await running.stop();
    }
  });

  test("fails where an upstream block misses the zone that a resolved name needs", () => {
    const broken = join(folder, "broken.conf");
    writeFileSync(broken, execFileSync("sed", ["/zone /d", configuration]));
    expect(() => execFileSync(program, [...args, "-t", "-c", broken, "-p", folder], { stdio: "pipe" })).toThrow(
      /resolving names at run time requires upstream .* to be in shared memory/,
    );
  });
});
