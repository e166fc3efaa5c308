import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent } from "undici";
import { programOf } from "../../hosts/bundle";
import type { MaintenanceMetricName } from "../../monitoring/metrics";
import { IN_USE_REPOSITORY } from "../../registry/in-use/report";
import { PROBE_ACCOUNT } from "../../site/registry";
import { PRIVATE_REGISTRY, parsed, reference, type WholeInput } from "../sites";
import { createCertificateAuthority } from "./certificates";
import { contentOf } from "./corpus";
import { containersOf } from "./docker-containers";
import { importImages } from "./docker-images";
import { describeWithHosts, endProcessGroup, Hosts, type Outcome } from "./hosts";
import { digestOf, image, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { waitFor } from "./process";
import { labHtpasswdLine } from "./registry";
import { account, deliverToVm, OPERATOR, PUSHGATEWAY_ADDRESS } from "./registry-host";
import { MAXIMUM_AGE_HOURS, unusableReports } from "./unusable-reports";
import { WARDEN_PROGRAM } from "./warden";

const PUSHGATEWAY = `http://${PUSHGATEWAY_ADDRESS}`;
/** The API server of the cluster, which says what runs. */
const API = { host: OPERATOR, port: "6443" };
const REGISTRY = "10.0.20.10:5050";
const CLUSTER = "cluster";
const STORE = "/opt/registry/data/private/docker/registry/v2";
const reader = { username: PROBE_ACCOUNT, password: "planted-read-5e1c" };
const pusher = { username: `${PROBE_ACCOUNT}-push`, password: "planted-push-91b2" };

const rules = [{ repositories: "**", keepNewest: 1 }];

/** The private registry alone, whose newest tag of each repository stays, and what runs. */
const site: WholeInput = {
  ...reference,
  registry: {
    ...reference.registry,
    ui: undefined,
    services: reference.registry.services.flatMap((service) => {
      const protectInUse = { clusters: [CLUSTER], maximumAgeHours: MAXIMUM_AGE_HOURS };
      return service.role === "private" ? [{ ...service, retention: { protectInUse, rules } }] : [];
    }),
    maintenance: { ...reference.registry.maintenance, caches: undefined, pushgateway: PUSHGATEWAY } as NonNullable<
      WholeInput["registry"]["maintenance"]
    >,
  },
};

/** Runs although its tag moved; runs although its tag is about to go; runs nowhere; the newest. */
const [moved, aged, nowhere, fresh] = [
  multiPlatformImage("moved"),
  multiPlatformImage("aged"),
  image("nowhere"),
  image("fresh"),
];

/** Connections to a socket in the file system end at an address: the operator's network is not that of this process. */
const FORWARD = `const { connect, createServer } = require("node:net");
const [path, port, host] = process.argv.slice(1);
createServer((near) => {
  const far = connect(port, host);
  for (const [from, to] of [[near, far], [far, near]]) from.on("error", () => to.destroy()).pipe(to);
}).listen(path);`;

/** An API server with the pods of a file. */
const SERVE_PODS = `const { readFileSync } = require("node:fs");
const [host, port, cert, key, pods] = process.argv.slice(1);
require("node:https")
  .createServer({ cert: readFileSync(cert), key: readFileSync(key) }, ({ url }, response) =>
    response.end(url.startsWith("/api/v1/pods?") ? readFileSync(pods) : '{"kind":"CronJobList","items":[]}'))
  .listen(port, host);`;

describeWithHosts(
  ["nginx", "pushgateway", "openssl"],
  "what runs, and the maintenance of a booted host",
  ({ nginx, pushgateway }) => {
    const hosts = new Hosts();
    const folder = mkdtempSync(join(tmpdir(), "warden-in-use-host-"));
    const authority = createCertificateAuthority();
    const started: ChildProcess[] = [];
    const [pods, probe, socket] = ["pods.json", "probe.mjs", "socket"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    let dispatcher: Agent;

    const startAtOperator = (...command: string[]): void => {
      started.push(hosts.startAtOperator(...command));
    };
    const pushImage = (repository: string, pushed: SyntheticManifest, ...tags: string[]) =>
      push({ url: `https://${PRIVATE_REGISTRY}`, credentials: account, dispatcher }, repository, pushed, ...tags);

    const task = (): Outcome => hosts.try("vm", "systemctl start registry-maintenance-clean-up.service");
    const journal = (): string =>
      hosts.ssh("vm", "journalctl --no-pager --output cat --unit registry-maintenance-clean-up.service --invocation 0");

    /** `warden` of an operator, through nginx. */
    const warden = (args: readonly string[], input = ""): Outcome =>
      hosts.operator(
        [process.execPath, WARDEN_PROGRAM, ...args, "--ca-file", authority.certificate],
        { REG_USER: account.username, REG_PASS: account.password },
        input,
      );
    /** Fails unless every byte of an image can be pulled by its digest. */
    const expectWhole = (repository: string, made: SyntheticManifest): void => {
      const { status, output } = warden([
        ...["verify", `${REGISTRY}/${repository}@${digestOf(made)}`],
        ...["--blobs", "hash", "--json"],
      ]);
      expect(status).toBe(0);
      expect(JSON.parse(output)).toMatchObject({ complete: true, failures: [] });
    };

    const digests = (): Set<string> =>
      new Set(
        hosts
          .ssh("vm", `find ${STORE}/blobs -name data -printf '%h\\n'`)
          .trim()
          .split("\n")
          .map((path) => `sha256:${path.split("/").at(-1)}`),
      );
    /** A container that was recreated, as it is for its read-only mode, has another id. */
    const containers = (): Record<string, string> => containersOf(hosts, "{{.ID}}");
    const metrics = (): string => hosts.operator(["curl", "-s", `${PUSHGATEWAY}/metrics`]).output;
    const reported = (metric: MaintenanceMetricName): number => {
      const lines = metrics().split("\n");
      return Number(
        lines
          .find((line) => line.startsWith(`${metric}{`) && line.includes('"clean-up"'))
          ?.split(" ")
          .at(-1),
      );
    };

    beforeAll(async () => {
      hosts.up();
      importImages(hosts, nginx, parsed(site).registry);
      const tls = authority.issue(["registry.viktorbarzin.me", "10.0.20.10"]);
      hosts.put("/opt/registry/tls/fullchain.pem", "644", readFileSync(tls.certificate));
      hosts.put("/opt/registry/tls/privkey.pem", "600", readFileSync(tls.key));
      hosts.put(
        "/opt/registry/htpasswd",
        "600",
        [account, reader, pusher].map((each) => labHtpasswdLine(each, 5)).join(""),
      );
      hosts.put(
        "/opt/registry/maintenance.env",
        "600",
        `REG_USER='${account.username}'\nREG_PASS='${account.password}'\n`,
      );
      expect(deliverToVm(hosts, parsed(site))).toMatchObject({ status: 0 });

      const api = authority.issue([API.host]);
      const serviceAccount = join(folder, "service-account");
      mkdirSync(serviceAccount);
      writeFileSync(join(serviceAccount, "token"), "a-token");
      writeFileSync(join(serviceAccount, "ca.crt"), readFileSync(authority.certificate));
      writeFileSync(probe, programOf("cli/probe.ts"));
      startAtOperator(process.execPath, "-e", SERVE_PODS, API.host, API.port, api.certificate, api.key, pods);
      startAtOperator(process.execPath, "-e", FORWARD, socket, ...REGISTRY.split(":").reverse());
      startAtOperator(...pushgateway.command, `--web.listen-address=${PUSHGATEWAY_ADDRESS}`);
      const ca = readFileSync(authority.certificate, "utf8");
      dispatcher = new Agent({ connect: { socketPath: socket, ca } });
      await waitFor("a way to the registry", () => existsSync(socket));
      await hosts.until("vm", `curl -sf ${PUSHGATEWAY}/-/ready && curl -sk https://${API.host}:${API.port}`);

      await pushImage("app", moved, "latest");
      await pushImage("app", aged, "v1");
      await pushImage("app", nowhere, "v2");
      await pushImage("app", fresh, "latest");
    }, 600_000);
    afterAll(async () => {
      await dispatcher?.close();
      started.forEach(endProcessGroup);
      authority.remove();
      hosts.down();
      rmSync(folder, { recursive: true });
    });

    /** A run of the probe in its cluster, where these pods run. */
    const runProbe = (running: Readonly<Record<string, SyntheticManifest>>): Outcome => {
      const items = Object.entries(running).map(([tag, made]) => ({
        metadata: { namespace: "default", name: `pod-of-${tag}` },
        spec: { containers: [{ name: "app", image: `${PRIVATE_REGISTRY}/app:${tag}` }] },
        status: {
          phase: "Running",
          containerStatuses: [{ name: "app", imageID: `${PRIVATE_REGISTRY}/app@${digestOf(made)}` }],
        },
      }));
      writeFileSync(pods, JSON.stringify({ kind: "PodList", items }));
      return hosts.operator([process.execPath, probe], {
        REGISTRY: `https://${REGISTRY}`,
        REGISTRY_INSTANCE: PRIVATE_REGISTRY,
        REGISTRY_NAMES: PRIVATE_REGISTRY,
        REGISTRY_CA_FILE: authority.certificate,
        PUSHGATEWAY,
        REG_USER: reader.username,
        REG_PASS: reader.password,
        PUSH_USER: pusher.username,
        PUSH_PASS: pusher.password,
        IN_USE_TAG: CLUSTER,
        SERVICE_ACCOUNT: join(folder, "service-account"),
        KUBERNETES_SERVICE_HOST: API.host,
        KUBERNETES_SERVICE_PORT: API.port,
      });
    };

    test.each(unusableReports(CLUSTER, Date.now()))(
      "a report that is %s: the clean-up says so, and neither removes anything nor keeps anybody from pushing",
      async (_, made, why) => {
        const report = made();
        if (report !== null) await pushImage(IN_USE_REPOSITORY, report, CLUSTER);
        const before = { containers: containers(), digests: digests() };
        expect(task().status).not.toBe(0);
        expect(journal()).toMatch(/^error: the report of what runs in "cluster" /m);
        expect(journal()).toContain(why);
        expect(journal()).toContain(
          "registry-private cannot be pruned, for the reason above: nothing was done with it",
        );
        expect({ containers: containers(), digests: digests() }).toEqual(before);
        expect(reported("registry_maintenance_success")).toBe(0);
      },
      120_000,
    );

    test("the probe reports what runs, by the account that may push, and a plan without protection names it", () => {
      expect(runProbe({ latest: moved, v1: aged })).toMatchObject({
        status: 0,
        output: expect.stringContaining("in use    2 images of 2 containers: 2 intact"),
      });
      const { status, output } = hosts.try(
        "vm",
        "docker compose --file /opt/registry/docker-compose.yml run --rm --no-TTY warden prune /data/private --keep-newest 1",
      );
      expect(status).toBe(0);
      for (const each of [moved, aged, ...moved.manifests, ...aged.manifests])
        expect(output).toMatch(new RegExp(`^remove +app@${digestOf(each).slice(0, 19)} `, "m"));
      for (const each of [moved, aged])
        expect(output).toMatch(new RegExp(`^remove +app@${digestOf(each).slice(0, 19)} .*; it runs in cluster$`, "m"));
      expect(output).not.toMatch(new RegExp(`app@${digestOf(nowhere).slice(0, 19)} .*runs in`));
    }, 60_000);

    test("the clean-up keeps it with its parts, every byte of it, and what runs nowhere goes", () => {
      expect(task().status).toBe(0);
      expect(journal()).toMatch(/^in use +cluster: 3 digests at .*, which stay$/m);
      expect(journal()).toMatch(/^remove +app:v2 /m);
      for (const each of [moved, aged, fresh]) expectWhole("app", each);
      const left = digests();
      const kept = [moved, aged, fresh].flatMap(contentOf).map(({ descriptor }) => descriptor.digest);
      expect(kept.filter((digest) => !left.has(digest))).toEqual([]);
      const gone = contentOf(nowhere).map(({ descriptor }) => descriptor.digest);
      expect(gone.filter((digest) => left.has(digest))).toEqual([]);
      expect(reported("registry_maintenance_success")).toBe(1);
      // The forged reports went too, one of which is large.
      expect(reported("registry_maintenance_freed_bytes")).toBeGreaterThan(70_000_000);
    }, 120_000);

    test("without the protection it goes, which the clean-up says, and the probe then misses it", () => {
      hosts.put("/opt/registry/retention-private.json", "644", JSON.stringify({ rules }));
      expect(task().status).toBe(0);
      expect(journal()).toMatch(
        new RegExp(`^remove +app@${digestOf(moved).slice(0, 19)} .*; it runs in cluster$`, "m"),
      );
      expect(digests().has(digestOf(moved))).toBe(false);
      const { output } = runProbe({ latest: moved, v1: aged });
      expect(output).toMatch(/^missing +app:latest +sha256:\w{12} \(the tag has moved\) +default\/pod-of-latest$/m);
      expect(output).toMatch(/^missing +app:v1 +sha256:\w{12} +default\/pod-of-v1$/m);
      expect(metrics()).toMatch(/^registry_workload_images\{[^}]*state="missing"[^}]*\} 2$/m);
    }, 120_000);

    test("no password is in a journal, an argument or a metric", () => {
      const text = [hosts.ssh("vm", "journalctl --no-pager --unit 'registry-maintenance-*'"), metrics()].join("\n");
      for (const { password } of [account, reader, pusher]) expect(text).not.toContain(password);
    });
  },
);
