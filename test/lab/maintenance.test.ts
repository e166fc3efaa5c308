import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MaintenanceMetricName } from "../../monitoring/metrics";
import { PRIVATE_REGISTRY, parsed, reference, type WholeInput } from "../sites";
import { createCertificateAuthority } from "./certificates";
import { idealOf, type KeptTag, pushCorpus } from "./corpus";
import { containersOf } from "./docker-containers";
import { importImages } from "./docker-images";
import { describeWithHosts, endProcessGroup, Hosts, type Outcome } from "./hosts";
import { labHtpasswdLine, startRegistry } from "./registry";
import { deliverToVm, PUSHGATEWAY_ADDRESS, startUpstream, UPSTREAM } from "./registry-host";
import { WARDEN_PROGRAM } from "./warden";

const PUSHGATEWAY = `http://${PUSHGATEWAY_ADDRESS}`;
const STORE = "/opt/registry/data/private";
const STATE = "/var/lib/registry-warden/maintenance";
const credentials = { username: "operator", password: "planted-$ecret-7f3a" };

/** The private registry, a cache with a reachable upstream and one without; retention keeps the newest two tags. */
const site: WholeInput = {
  ...reference,
  registry: {
    ...reference.registry,
    ui: undefined,
    services: reference.registry.services.flatMap((service): WholeInput["registry"]["services"] => {
      if (service.role === "private")
        return [{ ...service, retention: { rules: [{ repositories: "**", keepNewest: 2 }] } }];
      return service.name === "ghcr" || service.name === "quay" ? [{ ...service, upstream: UPSTREAM }] : [];
    }),
    maintenance: { ...reference.registry.maintenance, pushgateway: PUSHGATEWAY } as NonNullable<
      WholeInput["registry"]["maintenance"]
    >,
  },
};

describeWithHosts(
  ["nginx", "registry", "skopeo", "pushgateway", "promtool", "openssl"],
  "the maintenance, on a booted host with Docker",
  ({ nginx, registry, skopeo, pushgateway, promtool }) => {
    const hosts = new Hosts();
    const folder = mkdtempSync(join(tmpdir(), "warden-maintenance-"));
    const authority = createCertificateAuthority();
    let upstream: ChildProcess | undefined;
    let gateway: ChildProcess | undefined;
    let kept: KeptTag[];

    const startPushgateway = () =>
      hosts.startAtOperator(...pushgateway.command, `--web.listen-address=${PUSHGATEWAY_ADDRESS}`);

    const deliver = (input: WholeInput): Outcome => deliverToVm(hosts, parsed(input));

    /** The store with the corpus: a year of pushes. */
    const corpus = join(folder, "corpus.tar");
    const resetStore = async () => {
      hosts.ssh("vm", `docker stop registry-private; rm -rf ${STORE}/* ${STATE}/garbage-collection.log`);
      hosts.ssh("vm", `tar -C ${STORE} -x && docker start registry-private`, readFileSync(corpus));
      await healthy("registry-private");
    };
    const healthy = (name: string) =>
      hosts.until("vm", `docker inspect --format '{{.State.Health.Status}}' ${name} | grep -qx healthy`);

    const task = (name: string): Outcome => hosts.try("vm", `systemctl start registry-maintenance-${name}.service`);
    /** Runs a task, which must succeed; otherwise the error has its log. */
    const succeed = (name: string): void => {
      if (task(name).status !== 0) throw new Error(`${name} failed:\n${journal(name)}`);
    };
    const journal = (name: string): string =>
      hosts.ssh(
        "vm",
        `journalctl --no-pager --output cat --unit registry-maintenance-${name}.service --invocation 0 || journalctl --no-pager --output cat --unit registry-maintenance-${name}.service`,
      );

    /** The status of a request to the private registry from the network. */
    const status = (method: "GET" | "POST", path: string): string =>
      hosts.httpStatus(
        `https://10.0.20.10:5050${path}`,
        "--request",
        method,
        "--user",
        `${credentials.username}:${credentials.password}`,
        "--header",
        "Accept: application/vnd.oci.image.index.v1+json",
      );

    const verify = () => {
      const { output } = hosts.operator(
        [
          process.execPath,
          WARDEN_PROGRAM,
          "verify",
          "https://10.0.20.10:5050",
          "--blobs",
          "hash",
          "--ca-file",
          authority.certificate,
          "--json",
        ],
        { REG_USER: credentials.username, REG_PASS: credentials.password },
      );
      return JSON.parse(output);
    };
    const whole = { complete: true, failures: [] };

    /** The size of every blob on the disk. */
    const blobs = (): Map<string, number> =>
      new Map(
        hosts
          .ssh("vm", `find ${STORE}/docker/registry/v2/blobs -name data -printf '%h %s\\n'`)
          .trim()
          .split("\n")
          .map((line) => {
            const [path = "", size] = line.split(" ");
            return [`sha256:${path.split("/").at(-1)}`, Number(size)];
          }),
      );

    /** The value in the Pushgateway for one of a registry's tasks. */
    const reported = (metric: MaintenanceMetricName, name: string, instance = PRIVATE_REGISTRY): number => {
      const { output } = hosts.operator(["curl", "-s", `${PUSHGATEWAY}/metrics`]);
      const line = output
        .split("\n")
        .find((each) => each.startsWith(`${metric}{`) && each.includes(`"${instance}"`) && each.includes(`"${name}"`));
      return Number(line?.split(" ").at(-1));
    };

    /** The ID of each running container, by name. */
    const containers = (): Record<string, string> => containersOf(hosts, "{{.ID}}");

    beforeAll(async () => {
      const store = await startRegistry();
      kept = await pushCorpus(store);
      // Fractions of a second decide which tag was pushed last.
      execFileSync("tar", ["-C", store.root, "--format=posix", "-c", "-f", corpus, "docker"]);
      await store.stop();

      hosts.up();
      importImages(hosts, nginx, parsed(site).registry);
      const { certificate, key } = authority.issue(["registry.viktorbarzin.me", "10.0.20.10"]);
      hosts.put("/opt/registry/tls/fullchain.pem", "644", readFileSync(certificate));
      hosts.put("/opt/registry/tls/privkey.pem", "600", readFileSync(key));
      hosts.put("/opt/registry/htpasswd", "600", labHtpasswdLine(credentials, 5));
      hosts.put(
        "/opt/registry/maintenance.env",
        "600",
        `REG_USER='${credentials.username}'\nREG_PASS='${credentials.password}'\n`,
      );
      hosts.put(`/etc/docker/certs.d/${PRIVATE_REGISTRY}/ca.crt`, "644", readFileSync(authority.certificate));
      hosts.ssh("vm", "echo 10.0.20.10 registry.viktorbarzin.me >>/etc/hosts");
      upstream = startUpstream(hosts, registry, folder);
      gateway = startPushgateway();
      await hosts.until("vm", `curl -sf ${UPSTREAM}/v2/ && curl -sf ${PUSHGATEWAY}/-/ready`);
      expect(deliver(site)).toMatchObject({ status: 0 });
    }, 600_000);
    afterAll(() => {
      for (const each of [upstream, gateway]) if (each !== undefined) endProcessGroup(each);
      authority.remove();
      hosts.down();
      rmSync(folder, { recursive: true });
    });

    test("a clean-up of a registry that holds nothing is no failure", () => {
      succeed("clean-up");
      expect(reported("registry_maintenance_success", "clean-up")).toBe(1);
    }, 120_000);

    describe("a clean-up", () => {
      let before: Record<string, string>;
      const during: string[] = [];

      beforeAll(async () => {
        await resetStore();
        before = containers();
        const run = new Promise<number | null>((resolve) => {
          const [program, args, env] = hosts.sshCommand("vm", "systemctl start registry-maintenance-clean-up.service");
          spawn(program, args, { env, stdio: "ignore" }).on("exit", resolve);
        });
        let ended: number | null | undefined;
        run.then((code) => {
          ended = code;
        });
        while (ended === undefined) {
          during.push(`${status("GET", "/v2/app/manifests/latest")} ${status("POST", "/v2/app/blobs/uploads/")}`);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        process.stdout.write(`${journal("clean-up")}\n`);
        expect(ended).toBe(0);
      }, 300_000);

      test("ends at exactly what the kept tags need", () => {
        expect(blobs()).toEqual(idealOf(kept));
      });

      test("leaves every kept tag whole, byte by byte, and no other tag", () => {
        expect(verify()).toMatchObject({ ...whole, counts: { tags: kept.length } });
      }, 60_000);

      test("lets clients pull meanwhile, and refuses what they push", () => {
        expect(during).toContain("200 405");
        // The registry is briefly gone while it is recreated.
        for (const each of during) expect(each).toMatch(/^(200|50[24]|000) (202|405|50[24]|000)$/);
      });

      test("recreates the private registry alone, and leaves nothing behind", () => {
        const after = containers();
        expect(Object.keys(after)).toEqual(Object.keys(before));
        expect(Object.keys(after).filter((name) => before[name] !== after[name])).toEqual(["registry-private"]);
        expect(hosts.ssh("vm", `ls -A ${STATE}/at-work`)).toBe("");
      });

      test("reports what it did", () => {
        expect(reported("registry_maintenance_success", "clean-up")).toBe(1);
        expect(reported("registry_maintenance_freed_bytes", "clean-up")).toBeGreaterThan(0);
        expect(reported("registry_maintenance_run_duration_seconds", "clean-up")).toBeGreaterThan(0);
        expect(reported("registry_maintenance_allowed_age_seconds", "clean-up")).toBe(2 * 24 * 3600);
        const age = Date.now() / 1000 - reported("registry_maintenance_last_success_timestamp_seconds", "clean-up");
        expect(age).toBeLessThan(300);
      });

      test("leaves a registry from which another client pulls", () => {
        const [program, ...args] = skopeo.command;
        for (const { repository, tag, image } of kept) {
          // skopeo cannot copy an index within an index, nor an index of layers.
          if (image.manifests.some(({ manifests }) => manifests.length > 0) || repository === "app/cache") continue;
          const { status: code, output } = hosts.operator([
            program,
            ...args,
            "--insecure-policy",
            "copy",
            "--all",
            "--src-tls-verify=false",
            `--src-creds=${credentials.username}:${credentials.password}`,
            `docker://10.0.20.10:5050/${repository}:${tag}`,
            `dir:${join(folder, "pulled")}`,
          ]);
          expect([`${repository}:${tag}`, code, code === 0 ? "" : output]).toEqual([`${repository}:${tag}`, 0, ""]);
          rmSync(join(folder, "pulled"), { recursive: true });
        }
      }, 120_000);

      test("removes nothing when it runs again, and takes a push afterwards", () => {
        succeed("clean-up");
        expect(blobs()).toEqual(idealOf(kept));
        hosts.ssh(
          "vm",
          `docker login --username ${credentials.username} --password-stdin ${PRIVATE_REGISTRY}`,
          credentials.password,
        );
        hosts.ssh(
          "vm",
          `docker tag registry:2.8.3 ${PRIVATE_REGISTRY}/lab/image:1.0.0 && docker push --quiet ${PRIVATE_REGISTRY}/lab/image:1.0.0 && docker rmi ${PRIVATE_REGISTRY}/lab/image:1.0.0 && docker pull --quiet ${PRIVATE_REGISTRY}/lab/image:1.0.0`,
        );
        expect(verify()).toMatchObject(whole);
      }, 180_000);

      test("writes no secret into journal, arguments or reports", () => {
        for (const text of [
          hosts.ssh("vm", "journalctl --no-pager --unit 'registry-maintenance-*'"),
          hosts.ssh("vm", `grep -rh '' ${STATE}`),
          hosts.ssh("vm", "grep -h '' /opt/registry/*.yml /opt/registry/*.json /opt/registry/maintenance.s*"),
        ])
          expect(text).not.toContain(credentials.password);
      });
    });

    describe("a clean-up of a registry in which something is broken", () => {
      let outcome: Outcome;
      let before: Map<string, number>;
      let running: Record<string, string>;

      beforeAll(async () => {
        await resetStore();
        const [child] = kept.flatMap(({ repository, image }) =>
          image.manifests.map(({ descriptor }) => ({ repository, hex: descriptor.digest.replace("sha256:", "") })),
        );
        hosts.ssh(
          "vm",
          `rm ${STORE}/docker/registry/v2/repositories/${child?.repository}/_manifests/revisions/sha256/${child?.hex}/link`,
        );
        before = blobs();
        running = containers();
        outcome = task("clean-up");
      }, 120_000);

      test("fails, says so, and removes nothing", () => {
        expect(outcome.status).not.toBe(0);
        expect(journal("clean-up")).toContain("registry-private was not found whole: nothing was removed");
        expect(blobs()).toEqual(before);
        expect(reported("registry_maintenance_success", "clean-up")).toBe(0);
        expect(reported("registry_maintenance_last_success_timestamp_seconds", "clean-up")).toBeGreaterThan(0);
      });

      test("touches no container", () => expect(containers()).toEqual(running));
    });

    describe("a clean-up that is interrupted", () => {
      /** Conditions on the host, in the order in which they come true. */
      const moments = {
        "when it has taken the registry out": `test -e ${STATE}/at-work/registry-private`,
        "while it prunes":
          "docker ps --filter label=com.docker.compose.service=warden --filter label=registry-warden.maintenance --format x | grep -q x && test -e /var/lib/registry-warden/maintenance/at-work/registry-private",
        "while it collects": `test -e ${STATE}/garbage-collection.log`,
        "when it has collected": `grep -q 'eligible for deletion' ${STATE}/garbage-collection.log`,
      };
      const KILL = "systemctl kill --signal=KILL --kill-whom=main registry-maintenance-clean-up.service";
      const STOP = "systemctl stop registry-maintenance-clean-up.service";

      /** Starts it, and runs a command at this moment, on the host itself because some moments are short. */
      const interruptedBy = async (command: string, moment: string) => {
        await resetStore();
        hosts.ssh(
          "vm",
          `systemctl reset-failed 'registry-maintenance-*'; systemctl start --no-block registry-maintenance-clean-up.service
           end=$((SECONDS + 60)); until { ${moment}; } 2>/dev/null; do [ $SECONDS -lt $end ] || exit 1; done; ${command}`,
        );
      };
      const backAndWhole = async () => {
        await hosts.until("vm", `test -z "$(ls -A ${STATE}/at-work)"`);
        await healthy("registry-private");
        expect(status("POST", "/v2/app/blobs/uploads/")).toBe("202");
        expect(hosts.ssh("vm", "docker ps --all --quiet --filter label=registry-warden.maintenance")).toBe("");
        const report = verify();
        expect(report).toMatchObject(whole);
        expect(report.counts.tags).toBeGreaterThanOrEqual(kept.length);
        expect(reported("registry_maintenance_success", "clean-up")).toBe(0);
        succeed("clean-up");
        expect(blobs()).toEqual(idealOf(kept));
      };

      test.each(Object.entries(moments))(
        "killed %s: the registry is back and whole, and the next run does the rest",
        async (_, moment) => {
          await interruptedBy(KILL, moment);
          await backAndWhole();
        },
        240_000,
      );

      test("stopped while it collects: the same", async () => {
        await interruptedBy(STOP, moments["while it collects"]);
        await backAndWhole();
      }, 240_000);

      test.each(["while it prunes", "while it collects"] as const)(
        "without power %s: the registry is back after the boot, and the next look at the disk says what happened",
        async (moment) => {
          await interruptedBy("true", moments[moment]);
          hosts.cut("vm");
          hosts.boot("vm");
          await hosts.until("vm", 'test "$(systemctl is-active docker-compose-registry.service)" = active');
          await healthy("registry-private");
          expect(status("POST", "/v2/app/blobs/uploads/")).toBe("202");
          succeed("disk");
          await backAndWhole();
        },
        300_000,
      );
    });

    describe("a run that fails is never the last success", () => {
      beforeAll(async () => {
        await resetStore();
        succeed("clean-up");
      }, 120_000);
      const failed = () => expect(reported("registry_maintenance_success", "clean-up")).toBe(0);
      const lastSuccess = () => reported("registry_maintenance_last_success_timestamp_seconds", "clean-up");

      test("on a disk that is full, and it stays failed until it has succeeded", () => {
        const before = lastSuccess();
        hosts.ssh(
          "vm",
          `set -e; cp -a /var/lib/registry-warden /run/kept
           mount -t tmpfs -o size=$(($(du --summarize --block-size=1k /run/kept | cut -f 1) + 256))k tmpfs /var/lib/registry-warden
           cp -a /run/kept/. /var/lib/registry-warden; dd if=/dev/zero of=/var/lib/registry-warden/.filler bs=4k 2>/dev/null || true`,
        );
        try {
          expect(task("clean-up").status).not.toBe(0);
          failed();
          expect(journal("clean-up")).toContain(
            "it cannot be noted that registry-private is out of service, so nothing was done with it",
          );
          task("disk");
          failed();
          hosts.ssh("vm", "rm /var/lib/registry-warden/.filler");
          succeed("disk");
          failed();
          expect(lastSuccess()).toBe(before);
          succeed("clean-up");
          expect(reported("registry_maintenance_success", "clean-up")).toBe(1);
        } finally {
          // Keep the reports that were pushed meanwhile.
          hosts.ssh(
            "vm",
            `mv ${STATE}/reports /run/reports; umount /var/lib/registry-warden
             cp -a /run/reports/. ${STATE}/reports; rm -rf /run/kept /run/reports`,
          );
        }
      }, 240_000);

      test.each<[name: string, arrange: string, undo: string, said: string]>([
        [
          "with an account that is refused, which is no damage",
          "cp -p /opt/registry/maintenance.env /root/kept; sed -i \"s/^REG_PASS=.*/REG_PASS='wrong'/\" /opt/registry/maintenance.env",
          "mv /root/kept /opt/registry/maintenance.env",
          "registry-private could not be checked, for the reason above, so nothing is known of its images: nothing was removed",
        ],
        [
          "without the file of the account",
          "mv /opt/registry/maintenance.env /root/kept",
          "mv /root/kept /opt/registry/maintenance.env",
          "warden cannot be run, so nothing was done with registry-private: ",
        ],
        [
          "without the policy",
          "mv /opt/registry/retention-private.json /root/kept",
          "mv /root/kept /opt/registry/retention-private.json",
          "warden cannot be run, so nothing was done with registry-private: ",
        ],
      ])(
        "%s",
        (_, arrange, undo, said) => {
          const before = lastSuccess();
          hosts.ssh("vm", arrange);
          try {
            expect(task("clean-up").status).not.toBe(0);
          } finally {
            hosts.ssh("vm", undo);
          }
          expect(journal("clean-up")).toContain(said);
          expect(journal("clean-up")).not.toContain("not found whole");
          failed();
          expect(lastSuccess()).toBe(before);
          succeed("clean-up");
        },
        120_000,
      );

      test("with a mark that says nothing, of a disk that was full: the task is known all the same", () => {
        hosts.ssh("vm", `: >${STATE}/at-work/registry-private`);
        succeed("disk");
        failed();
        expect(hosts.operator(["curl", "-s", `${PUSHGATEWAY}/metrics`]).output).not.toContain('task=""');
        succeed("clean-up");
      }, 120_000);
    });

    test("everything that is pushed says what it means, and is well-formed", () => {
      const { output } = hosts.operator(["curl", "-s", `${PUSHGATEWAY}/metrics`]);
      const ours = output.split("\n").filter((line) => line.includes("registry_maintenance_"));
      const explained = ours.filter((line) => line.startsWith("# HELP")).map((line) => line.split(" ")[2]);
      const sampled = ours.filter((line) => !line.startsWith("#")).map((line) => line.split(/[{ ]/, 1)[0]);
      expect(explained).toEqual([...new Set(sampled)]);
      const [program, ...args] = promtool.command;
      const checked = spawnSync(program, [...args, "check", "metrics"], {
        input: `${ours.join("\n")}\n`,
        encoding: "utf8",
      });
      expect([checked.status, checked.stdout, checked.stderr]).toEqual([0, "", ""]);
    });

    test("a clean-up has room that the disk keeps for it", () => {
      const reserve = "stat -c %s /opt/registry/data/private/.registry-warden-reserve";
      succeed("disk");
      expect(hosts.ssh("vm", reserve)).toBe("16777216\n");
      succeed("clean-up");
      expect(hosts.try("vm", reserve).status).not.toBe(0);
      succeed("disk");
      expect(hosts.ssh("vm", reserve)).toBe("16777216\n");
    }, 120_000);

    test("of two tasks the second waits for the first", async () => {
      await resetStore();
      hosts.ssh("vm", "systemctl start --no-block registry-maintenance-clean-up.service");
      await hosts.until("vm", `test -e ${STATE}/at-work/registry-private`);
      succeed("scan");
      expect(journal("scan")).toContain("waits for the running delivery or task");
      expect(hosts.ssh("vm", "systemctl show --property=Result --value registry-maintenance-clean-up.service")).toBe(
        "success\n",
      );
      expect(blobs()).toEqual(idealOf(kept));
      expect(reported("registry_maintenance_success", "scan")).toBe(1);
    }, 180_000);

    test("a delivery waits for the running task", async () => {
      await resetStore();
      hosts.ssh("vm", "systemctl start --no-block registry-maintenance-clean-up.service");
      await hosts.until("vm", `test -e ${STATE}/at-work/registry-private`);
      expect(deliver(site).output).toContain("registry is delivered");
      expect(blobs()).toEqual(idealOf(kept));
      expect(reported("registry_maintenance_success", "clean-up")).toBe(1);
    }, 240_000);

    describe("caches", () => {
      beforeAll(async () => {
        hosts.ssh("vm", "tar -C /opt/registry/data/ghcr -x", readFileSync(corpus));
        await healthy("registry-ghcr");
      }, 60_000);

      test("are left as they are while their upstream does not answer", async () => {
        if (upstream !== undefined) endProcessGroup(upstream);
        await hosts.until("vm", `! curl -s ${UPSTREAM}/v2/`);
        const before = containers();
        succeed("caches");
        expect(journal("caches")).toContain(`${UPSTREAM} does not answer, so registry-ghcr could not start again`);
        expect(containers()).toEqual(before);
        upstream = startUpstream(hosts, registry, folder);
        await hosts.until("vm", `curl -sf ${UPSTREAM}/v2/`);
      }, 120_000);

      test("are collected one after another while it does, and serve again", async () => {
        succeed("caches");
        for (const port of [5010, 5020]) {
          expect(reported("registry_maintenance_success", "caches", `10.0.20.10:${port}`)).toBe(1);
          expect(hosts.operator(["curl", "-sf", `http://10.0.20.10:${port}/v2/`]).status).toBe(0);
        }
      }, 180_000);
    });

    describe("a scrub", () => {
      beforeAll(resetStore, 60_000);

      test("reads every blob of a store while it serves, and finds the one that the disk has altered", () => {
        const [blob] = kept.flatMap(({ image }) => image.blobs);
        const hex = blob?.descriptor.digest.replace("sha256:", "") ?? "";
        const data = `${STORE}/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
        succeed("scrub");
        expect(reported("registry_maintenance_corrupt_blobs", "scrub")).toBe(0);
        expect(reported("registry_maintenance_scrub_progress_ratio", "scrub")).toBe(1);

        hosts.ssh("vm", `cp -a ${data} /root/blob && printf x | dd of=${data} conv=notrunc status=none`);
        succeed("scrub");
        expect(journal("scrub")).toContain(`sha256:${hex}`);
        expect(reported("registry_maintenance_success", "scrub")).toBe(1);
        expect(reported("registry_maintenance_corrupt_blobs", "scrub")).toBe(1);

        hosts.ssh("vm", `cp -a /root/blob ${data}`);
        succeed("scrub");
        expect(reported("registry_maintenance_corrupt_blobs", "scrub")).toBe(0);
      }, 180_000);

      test("waits for no other task, and ends when it is stopped", async () => {
        // Hold the lock that deliveries and tasks share.
        hosts.ssh(
          "vm",
          "systemd-run --unit holder --property Type=exec flock /var/lib/registry-warden/registry/lock sleep 600",
        );
        // A blob that takes a while to read, so that the task is still running when it is stopped.
        const slow = `${STORE}/docker/registry/v2/blobs/sha256/00/${"0".repeat(64)}`;
        try {
          succeed("scrub");
          hosts.ssh("vm", `mkdir -p ${slow} && truncate --size 4G ${slow}/data`);
          hosts.ssh("vm", "systemctl start --no-block registry-maintenance-scrub.service");
          await hosts.until("vm", "docker ps --quiet --filter label=registry-warden.maintenance=scrub | grep -q .");
          hosts.ssh("vm", "systemctl stop registry-maintenance-scrub.service");
          await hosts.until("vm", "! docker ps --quiet --filter label=registry-warden.maintenance=scrub | grep -q .");
        } finally {
          hosts.ssh("vm", `rm -rf ${slow}`);
          hosts.ssh("vm", "systemctl stop holder");
        }
      }, 180_000);
    });

    test("a look at the disk reports its space, and all again to a Pushgateway that forgot", async () => {
      if (gateway !== undefined) endProcessGroup(gateway);
      await hosts.until("vm", `! curl -s ${PUSHGATEWAY}/-/ready`);
      // The report cannot be delivered, and that is the only thing wrong.
      succeed("disk");
      expect(journal("disk")).toContain("was not taken");
      gateway = startPushgateway();
      await hosts.until("vm", `curl -sf ${PUSHGATEWAY}/-/ready`);
      succeed("disk");
      expect(reported("registry_maintenance_success", "clean-up")).toBe(1);
      expect(reported("registry_maintenance_success", "scan")).toBe(1);
      const free = reported("registry_maintenance_disk_free_bytes", "disk");
      expect(free).toBeGreaterThan(0);
      expect(free).toBeLessThan(reported("registry_maintenance_disk_size_bytes", "disk"));
    }, 180_000);
  },
);
