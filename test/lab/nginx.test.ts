import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, fetch } from "undici";
import { nginxConfiguration, READ_LATE } from "../../hosts/nginx";
import type { Registry } from "../../site/registry";
import { referenceSite } from "../sites";
import { type CertificateAuthority, createCertificateAuthority, type KeyPair } from "./certificates";
import { describeWith } from "./components";
import { accepts, freePort, startProcess, temporaryFolder } from "./process";

describeWith(["nginx", "openssl"], "the reverse proxy, read by nginx", ({ nginx, openssl }) => {
  let folder: string;
  let authority: CertificateAuthority;
  let registry: Registry;
  let configuration: string;
  let pair: KeyPair;

  /** The delivered configuration, adapted to this machine: free ports, and paths that a test may write to. */
  beforeAll(async () => {
    folder = temporaryFolder("nginx");
    authority = createCertificateAuthority();
    const given = referenceSite.registry;
    const services = [];
    for (const service of given.services) services.push({ ...service, port: await freePort() });
    registry = { ...given, services };
    pair = authority.issue(["127.0.0.1"]);
    mkdirSync(join(folder, "temp"));
    configuration = join(folder, "nginx.conf");
    writeFileSync(
      configuration,
      nginxConfiguration(registry)
        .replaceAll("/tmp/", `${folder}/temp/`)
        .replace(/ssl_certificate .*;/, `ssl_certificate ${pair.certificate}$$${READ_LATE};`)
        .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${pair.key}$$${READ_LATE};`)
        .replaceAll(/listen (\d+)/g, "listen 127.0.0.1:$1")
        .replace("access_log /dev/stdout;", "access_log off;"),
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
    const running = await startProcess([...nginx.command, "-c", configuration, "-p", folder, "-g", "daemon off;"], {
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

  const running = () =>
    startProcess([...nginx.command, "-c", configuration, "-p", folder, "-g", "daemon off;"], {
      ready: () => Promise.all(registry.services.map(({ port }) => accepts(port))).then((open) => open.every(Boolean)),
    });
  test("lets the account of a probe read and nothing else, however it writes its name, and the others do everything", async () => {
    const nginxProcess = await running();
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const asked = async (method: string, authorization: string | undefined): Promise<number> =>
      (
        await fetch(`https://127.0.0.1:${privatePort()}/v2/team/app/blobs/uploads/`, {
          method,
          dispatcher,
          headers: authorization === undefined ? {} : { authorization },
        })
      ).status;
    try {
      // There is no registry behind it, so 502 means that the request was let through.
      const probe = base64("registry-probe:secret:with colons");
      for (const scheme of ["Basic", "basic", "BASIC"]) {
        for (const method of ["GET", "HEAD"]) expect(await asked(method, `${scheme} ${probe}`)).toBe(502);
        for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
          expect(await asked(method, `${scheme} ${probe}`)).toBe(403);
      }
      for (const other of ["operator:secret", "registry-probe2:secret", "Registry-Probe:secret", ":registry-probe"])
        expect(await asked("DELETE", `Basic ${base64(other)}`)).toBe(502);
      expect(await asked("POST", undefined)).toBe(502);
    } finally {
      await dispatcher.close();
      await nginxProcess.stop();
    }
  });

  const privatePort = () => registry.services.find(({ role }) => role === "private")?.port ?? 0;
  const cachePort = () => registry.services.find(({ role }) => role === "proxy")?.port ?? 0;

  /** A TLS handshake with the private registry's port: what openssl prints, and whether it succeeded. */
  const handshake = (...options: string[]): { made: boolean; output: string } => {
    const [client, ...first] = openssl.command;
    const { status, stdout, stderr } = spawnSync(
      client,
      [...first, "s_client", "-connect", `127.0.0.1:${privatePort()}`, "-CAfile", authority.certificate, ...options],
      { input: "", encoding: "utf8", timeout: 20_000 },
    );
    return { made: status === 0 && !/Cipher is \(NONE\)/.test(stdout), output: stdout + stderr };
  };

  test("speaks TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, and nothing older", async () => {
    const nginxProcess = await running();
    try {
      const offered: [string[], boolean][] = [
        [["-tls1_3"], true],
        [["-tls1_2"], true],
        [["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], true],
        // By default the lab's openssl does not offer these as a client: only the lowest security level does.
        [["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false],
        [["-tls1", "-cipher", "ALL:@SECLEVEL=0"], false],
        [["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"], false],
        [["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0"], false],
        [["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"], false],
        [["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"], false],
      ];
      for (const [options, made] of offered) expect([options, handshake(...options).made]).toEqual([options, made]);
      const { output } = handshake("-tls1_2");
      expect(output).toContain("Verify return code: 0 (ok)");
      expect(output).toContain("Compression: NONE");
      expect(output).not.toContain("TLS session ticket:");
    } finally {
      await nginxProcess.stop();
    }
  }, 60_000);

  test("serves the caches with a certificate that is broken, and is well again with a good one, without a reload", async () => {
    const good = readFileSync(pair.certificate);
    writeFileSync(pair.certificate, "no certificate");
    const nginxProcess = await running();
    try {
      expect((await fetch(`http://127.0.0.1:${cachePort()}/v2/`)).status).toBe(502);
      expect(handshake().made).toBe(false);
      writeFileSync(pair.certificate, good);
      expect(handshake().made).toBe(true);
      rmSync(pair.certificate);
      expect(handshake("-no_ticket").made).toBe(false);
      expect((await fetch(`http://127.0.0.1:${cachePort()}/v2/`)).status).toBe(502);
    } finally {
      await nginxProcess.stop();
      writeFileSync(pair.certificate, good);
    }
  }, 60_000);

  test("refuses a pair that does not belong together once it is told to read it at once, as a delivery does", () => {
    const other = authority.issue(["127.0.0.1"]);
    const early = join(folder, "early.conf");
    const text = readFileSync(configuration, "utf8").replaceAll(`$${READ_LATE};`, ";");
    writeFileSync(early, text);
    const check = () => execFileSync(program, [...args, "-t", "-c", early, "-p", folder], { stdio: "pipe" });
    expect(check).not.toThrow();
    writeFileSync(early, text.replace(pair.key, other.key));
    expect(check).toThrow(/key values mismatch/);
  });

  test("fails where an upstream block misses the zone that a resolved name needs", () => {
    const broken = join(folder, "broken.conf");
    writeFileSync(broken, execFileSync("sed", ["/zone /d", configuration]));
    expect(() => execFileSync(program, [...args, "-t", "-c", broken, "-p", folder], { stdio: "pipe" })).toThrow(
      /resolving names at run time requires upstream .* to be in shared memory/,
    );
  });
});
