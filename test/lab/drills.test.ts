import { execFileSync } from "node:child_process";
import type { Command, Document } from "../../handbook/document";
import { imageReference } from "../../site/image";
import { containerName, dataDirectory, registryPaths } from "../../site/registry";
import { privateServices, serviceInstance } from "../../site/schema";
import { Drill, section, those } from "./drill";
import { describeWithHosts } from "./hosts";
import { image, multiPlatformImage, push } from "./images";
import { type LabRegistry, startRegistry } from "./registry";
import { account } from "./registry-host";
import { COMMIT, RunbookLab } from "./runbook-lab";

/** The others need a cluster: see runbooks-cluster.test.ts. */
const outsideTheCluster = (commands: readonly Command[]): Command[] =>
  commands.filter(({ run }) => !/\bkubectl /.test(run.text));

/** Where a host keeps its deliveries and the state of its maintenance. */
const STATE = "/var/lib/registry-warden";

describeWithHosts(
  ["nginx", "registry", "openssl", "terraform", "pushgateway"],
  "incidents, worked on from the pages alone",
  (components) => {
    const lab = new RunbookLab(components);
    const { hosts } = lab;
    const vm = (script: string, input?: string | Buffer) => hosts.ssh("vm", script, input);
    const page = (path: string): Document => lab.page(path);
    const compose = "docker compose --file /opt/registry/docker-compose.yml";
    /** The private registry: its data, its container, and the address for clients. */
    const it = () => {
      const [service] = privateServices(lab.site.registry);
      if (service === undefined) throw new Error("the reference site has a private registry");
      return {
        data: dataDirectory(lab.site.registry, service),
        container: containerName(service),
        instance: serviceInstance(lab.site, service),
      };
    };
    const drill = (title: string) => new Drill(title, lab.session());

    /** Fills the private registry's store with what was pushed to one on loopback. */
    const fill = async (pushAll: (registry: LabRegistry) => Promise<void>): Promise<void> => {
      const { data, container } = it();
      const registry = await startRegistry();
      try {
        await pushAll(registry);
        vm(`${compose} stop ${container} && rm -rf ${data}/docker`);
        vm(`tar -C ${data} -x`, archive(registry.root));
        vm(`${compose} up --detach --wait ${container}`);
      } finally {
        await registry.stop();
      }
    };
    /**
     * Keeps fractions of seconds: with whole seconds, quick pushes look like a copy, and the clean-up removes nothing.
     */
    const archive = (root: string): Buffer =>
      execFileSync("tar", ["-C", root, "--format=posix", "-c", "docker"], { maxBuffer: 1 << 28 });

    const statusOf = (repository: string, reference: string): string =>
      vm(
        `curl -sk -u ${account.username}:${account.password} -o /dev/null -w '%{http_code}' -H 'accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' https://${it().instance.replace(/^[^:]*/, "10.0.20.10")}/v2/${repository}/manifests/${reference}`,
      );

    beforeAll(() => lab.up(), 600_000);
    afterAll(() => lab.down());

    describe("garbage-collect -m, with one image that can be healed and one that cannot", () => {
      test("ends with every broken tag dealt with", async () => {
        const healable = multiPlatformImage("app");
        await fill(async (registry) => {
          await push(registry, "team/app", healable, "1.0");
          // Another repository has its children under tags, which keeps their bytes.
          for (const [at, child] of healable.manifests.entries())
            await push(registry, "team/base", child, `part-${at}`);
          await push(registry, "infra-ci", multiPlatformImage("ci"), "latest", COMMIT);
        });
        vm(
          `docker exec ${it().container} /bin/registry garbage-collect -m /etc/docker/registry/config.yml && ${compose} restart ${it().container}`,
        );
        const rebuild = page("runbooks/rebuild-image.md");
        const incident = drill("garbage-collect -m");
        await incident.does(section(rebuild, "First"));
        await incident.finds(section(rebuild, "Diagnose"));
        const repair = section(rebuild, "Repair without a rebuild");
        await incident.does(those(repair, /--storage \S+$/));
        await incident.finds(those(repair, /--apply$/));
        const build = section(rebuild, "Rebuild `infra-ci` when CI is down");
        const commit = (await incident.does(those(build, /^git archive /))).trim();
        await incident.does(build.slice(1), { commit });
        const verify = section(rebuild, "Verify");
        const [found] = await incident.finds(those(verify, /verify https:/));
        const [name = ""] = /infra-ci:\S+/.exec(found?.output ?? "") ?? [];
        expect(name).toBe(`infra-ci:${COMMIT}`);
        const given = await incident.does(section(rebuild, "Give up what nobody builds again"), { name });
        expect(given).toContain("nothing broken");
        await incident.does(verify);
        await incident.does(section(rebuild, "Look for more"));
        await incident.does(section(rebuild, "Last"));
        incident.ends();
        expect([statusOf("team/app", "1.0"), statusOf("infra-ci", "latest"), statusOf("infra-ci", commit)]).toEqual([
          "200",
          "200",
          "200",
        ]);
      }, 300_000);
    });

    describe("a tag that somebody deleted", () => {
      test("is back", async () => {
        // Pushed by Docker, so that the registry's log has its tag.
        const name = `${it().instance}/team/tool:2.0`;
        vm(`docker tag ${imageReference(lab.site.registry.images.nginx)} ${name} && docker push --quiet ${name}`);
        vm(
          `digest=$(docker inspect --format '{{ index .RepoDigests 0 }}' ${name} | cut -d @ -f 2) &&
           curl -sfk -u ${account.username}:${account.password} -X DELETE https://10.0.20.10:5050/v2/team/tool/manifests/$digest`,
        );
        expect(statusOf("team/tool", "2.0")).toBe("404");
        const deleted = page("runbooks/tag-deleted.md");
        const incident = drill("a deleted tag");
        await incident.does(section(deleted, "First"));
        await incident.does(section(deleted, "What can be put back"));
        await incident.does(section(deleted, "Put it back"));
        await incident.does(section(deleted, "Verify"));
        await incident.does(section(deleted, "Last"));
        incident.ends();
        expect(statusOf("team/tool", "2.0")).toBe("200");
      }, 120_000);
    });

    describe("a full disk, on which the clean-up failed", () => {
      test("has room again, the clean-up does its work, and pushes go on", async () => {
        const { data, container, instance } = it();
        await fill(async (registry) => {
          for (let at = 1; at <= 12; at += 1) await push(registry, "team/app", image(`build-${at}`), `build-${at}`);
        });
        // One small disk for the data and the maintenance's state, with nothing reserved for the clean-up.
        vm(
          `${compose} stop ${container}
           rm -f ${data}/.registry-warden-reserve
           mkdir /srv/small && mount -t tmpfs -o size=64m tmpfs /srv/small
           for path in ${data} ${STATE}; do
             cp -a $path /srv/small/ && mount --bind /srv/small/$(basename $path) $path
           done
           ${compose} start ${container}
           abandoned=${data}/docker/registry/v2/repositories/team/app/_uploads/f2d6ae73-6f0c-44b1-9c30-d8d8bb9c8d2c
           mkdir -p $abandoned && head -c 20M /dev/zero >$abandoned/data && touch -d '3 days ago' $abandoned/data $abandoned
           ! cat /dev/zero >/srv/small/filler 2>/dev/null
           docker tag ${imageReference(lab.site.registry.images.nginx)} ${instance}/team/new:1`,
        );
        expect(hosts.try("vm", `docker push --quiet ${instance}/team/new:1`).status).not.toBe(0);
        expect(hosts.try("vm", "systemctl start registry-maintenance-clean-up.service").status).not.toBe(0);
        const full = page("alerts/RegistryDiskFull.md");
        const incident = drill("a full disk with a failed clean-up");
        await incident.does(section(full, "Diagnosis"));
        const mitigation = section(full, "Mitigation");
        expect(await incident.does(those(mitigation, /_uploads/))).toContain("removed ");
        await incident.does(those(mitigation, / prune | start .*clean-up| show .*clean-up/));
        incident.ends();
        vm(`docker push --quiet ${instance}/team/new:1`);
        expect(statusOf("team/app", "build-1")).toBe("404");
        expect(statusOf("team/app", "build-12")).toBe("200");
        vm(
          `${compose} stop ${container}
           for path in ${data} ${STATE}; do
             umount $path && rm -rf $path && cp -a /srv/small/$(basename $path) $path
           done
           umount /srv/small && ${compose} up --detach --wait ${container}`,
        );
      }, 300_000);
    });

    describe("an empty catalog, because the reverse proxy asks another registry", () => {
      test("is found, and the right one answers again", async () => {
        const { nginx } = registryPaths(lab.site.registry.directory);
        vm(
          `sed 's#http://${it().container};#http://registry-dockerhub;#' ${nginx} >/root/edited && cat /root/edited >${nginx} && docker exec registry-nginx nginx -s reload`,
        );
        await hosts.until("vm", `[ "$(curl -sk -o /dev/null -w '%{http_code}' https://10.0.20.10:5050/v2/)" = 200 ]`);
        const empty = page("alerts/RegistryCatalogEmpty.md");
        const incident = drill("an empty catalog, of another registry");
        const wrong = await incident.finds(outsideTheCluster(section(empty, "Diagnosis")));
        expect(wrong.map(({ output }) => output)).toEqual(["200\n", expect.stringContaining("registry-dockerhub")]);
        const mitigation = outsideTheCluster(section(empty, "Mitigation"));
        await incident.does(those(mitigation, / deliver /));
        await incident.does(those(mitigation, /^curl |^read | verify /));
        incident.ends();
      }, 120_000);
    });

    describe("a dead primary resolver, and a resolv.conf that somebody edited meanwhile", () => {
      test("ends with names that resolve, by the file of the site", async () => {
        hosts.ssh("pve", "cat >/etc/resolv.conf", "nameserver 192.0.2.1\n");
        hosts.block();
        const proxmox = page("runbooks/pve.md");
        const incident = drill("a dead primary resolver and an edited resolv.conf");
        const names = section(proxmox, "Names do not resolve");
        const wrong = await incident.finds(names);
        expect(wrong).toHaveLength(names.length);
        // Its operator restarts the resolver, which runs on neither of these hosts.
        hosts.unblock();
        await incident.does(those(names, /^dig /));
        await incident.does(section(proxmox, "Deliver the names again"));
        await incident.does(names);
        incident.ends();
      }, 180_000);
    });

    describe("an expired certificate and a leaked password", () => {
      const rotation = () => page("runbooks/rotate-credentials.md");

      test("one certificate fails one port, and a new one is in place without a restart", async () => {
        const { tls } = privateServices(lab.site.registry)[0] ?? { tls: { certificate: "", key: "" } };
        lab.bringCertificate(".ended", true);
        vm(`for file in ${tls.certificate} ${tls.key}; do cat $file.ended >$file && rm $file.ended; done`);
        const incident = drill("an expired certificate");
        const wrong = await incident.finds(
          outsideTheCluster(section(page("alerts/RegistryCatalogInaccessible.md"), "Diagnosis")),
        );
        expect(wrong.map(({ output }) => output)).toEqual([
          expect.stringMatching(/000[\s\S]*certificate has expired/),
          expect.stringContaining("Certificate will expire"),
        ]);
        expect(hosts.httpStatus("http://10.0.20.10:5000/v2/")).toBe("200");
        const renewing = section(rotation(), `The certificate of \`${it().instance}\``);
        await incident.finds(renewing.slice(0, 1));
        // Operators make certificates by their own means.
        lab.bringCertificate(".new");
        await incident.does(renewing.slice(1, -1));
        await incident.does(renewing.slice(0, 1));
        await incident.does(
          those(outsideTheCluster(section(page("alerts/RegistryCatalogInaccessible.md"), "Diagnosis")), /^curl /),
        );
        incident.ends();
      }, 120_000);

      test("the old password is refused, what it did is seen, and the maintenance has the new one", async () => {
        vm(
          `curl -sfk -u ${account.username}:${account.password} -X POST https://10.0.20.10:5050/v2/team/miner/blobs/uploads/`,
        );
        const incident = drill("a leaked password");
        const changed = { REG_PASS: "another-secret-91c2" };
        expect(await incident.does(section(rotation(), "A password leaked"))).toContain(" operator [");
        const commands = section(rotation(), `An account of \`${it().container}\``);
        const [line = ""] = /^operator:\S+$/m.exec(await incident.does(those(commands, / htpasswd /), changed)) ?? [];
        await incident.does(commands.slice(1, 5), { line });
        const verify = those(commands, /^read -rp 'user|verify /);
        await incident.does(verify, changed);
        await incident.finds(verify);
        await incident.does(section(rotation(), "The account of the maintenance"), changed);
        await incident.does(those(commands, /^rm /));
        incident.ends();
      }, 240_000);
    });

    describe("an empty catalog, because a disk is not mounted", () => {
      test("is found, and everything is there again", async () => {
        const { data, container } = it();
        vm(
          `${compose} stop ${container} && cp -a ${data} /srv/images && rm -rf ${data}/docker && ${compose} up --detach --wait ${container} && echo '/srv/images ${data} none bind 0 0' >>/etc/fstab`,
        );
        const empty = page("alerts/RegistryCatalogEmpty.md");
        const incident = new Drill(
          "an empty catalog, of a disk that is not mounted",
          lab.session({ REG_PASS: "another-secret-91c2" }),
        );
        const wrong = await incident.finds(outsideTheCluster(section(empty, "Diagnosis")));
        expect(wrong.map(({ command }) => command.run.text)).toEqual([expect.stringMatching(/^find /)]);
        const mitigation = outsideTheCluster(section(empty, "Mitigation"));
        await incident.does(those(mitigation, /^mount |^find |^curl |^read | verify /));
        incident.ends();
      }, 120_000);
    });

    describe("a fresh VM, and the off-site copy", () => {
      test("serves everything again", async () => {
        const { data } = it();
        const [program, words, env] = hosts.sshCommand("vm", `tar -C ${data} -c .`);
        const copy = execFileSync(program, words, { env, maxBuffer: 1 << 30 });
        hosts.fresh("vm");
        const restore = page("runbooks/restore.md");
        const incident = drill("a fresh VM from the off-site copy");
        const [look, ...deliver] = section(restore, "A new host");
        if (look === undefined) throw new Error("the page does not look at the new host");
        const missing = await incident.does([look]);
        for (const what of ["htpasswd", "tls/fullchain.pem", "tls/privkey.pem", "maintenance.env"])
          expect(missing).toContain(`operator's file /opt/registry/${what}: is absent`);
        expect(missing).toContain("nothing was ever delivered to this host");
        // The operator brings the files, the images are pulled from their registries, and the copy is mounted.
        lab.prepareVm();
        vm("mkdir -p /mnt/copy && tar -C /mnt/copy -x", copy);
        expect(await incident.does([look])).not.toContain("operator's file");
        await incident.does(deliver);
        await incident.does(section(restore, `Restore \`${it().container}\``), { copy: "/mnt/copy" });
        await incident.does(section(restore, "Verify"));
        incident.ends();
        // An image from before the incident.
        expect(statusOf("team/app", "build-12")).toBe("200");
      }, 300_000);
    });
  },
);
