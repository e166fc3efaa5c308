import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, commandsOf, type Document } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { assembleScript, type Delivery } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import { dnsDelivery } from "../../hosts/resolver";
import { imageReference } from "../../site/image";
import { parseSite } from "../../site/load";
import reference from "../../site/reference";
import { managedHosts, privateServices, registryHost, type Site, serviceInstance } from "../../site/schema";
import { createCertificateAuthority } from "./certificates";
import { importImages, importNode } from "./docker-images";
import { expectedPattern } from "./expected";
import { describeWithHosts, Hosts, type LabHost, type Outcome } from "./hosts";
import { htpasswdLine } from "./registry";

const root = join(__dirname, "../..");
/** The operator's place in the lab; its registry is the upstream of every cache. */
const OPERATOR = "10.99.0.20";
const account = { username: "operator", password: "planted-secret-7f3a" };

/** What an operator would type where a runbook asks. */
const ANSWERS: Readonly<Record<string, string>> = {
  REG_USER: account.username,
  REG_PASS: account.password,
  account: account.username,
  line: htpasswdLine(account, 5).trim(),
  copy: "/root/copy",
  commit: "0123abcd",
};

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What runbooks-cluster.test.ts runs. */
const IN_CLUSTER = /\bkubectl /;

describeWithHosts(
  ["nginx", "registry", "openssl"],
  "the commands of the runbooks, on booted hosts",
  ({ nginx, registry }) => {
    const hosts = new Hosts();
    const folder = mkdtempSync(join(tmpdir(), "warden-runbooks-"));
    const authority = createCertificateAuthority();
    let upstream: ChildProcess;
    let site: Site;

    const labHost = (name: string): LabHost => (name === site.registry.host ? "vm" : "pve");

    const deliver = (delivery: Delivery): void => {
      const host = labHost(delivery.host.name);
      const script = `.registry-warden/${delivery.name}.sh`;
      hosts.ssh(
        host,
        `install -d -m 0700 .registry-warden && cat >${script}`,
        assembleScript(delivery, "terraform apply"),
      );
      hosts.ssh(host, `bash ${script} apply && bash ${script} confirm`);
    };

    const deliveryOf = (name: string, host: string | undefined): Delivery => {
      const [managed] = managedHosts(site).filter((each) => each.name === host);
      return name === "dns" && managed !== undefined ? dnsDelivery(site, managed) : registryDelivery(site);
    };

    /** Everything that is delivered to a host. */
    const deliveriesTo = (host: string): Delivery[] =>
      (host === site.registry.host ? ["dns", "registry"] : ["dns"]).map((name) => deliveryOf(name, host));

    /** Pushes what CI would have pushed. */
    const pushImages = (): void => {
      for (const image of site.ci?.images ?? []) {
        const [service] = privateServices(site.registry).filter(({ name }) => name === image.service);
        if (service === undefined) continue;
        const instance = serviceInstance(site, service);
        hosts.ssh("vm", `docker login --username ${account.username} --password-stdin ${instance}`, account.password);
        for (const tag of [...image.tags, ANSWERS.commit]) {
          const name = `${instance}/${image.repository}:${tag}`;
          hosts.ssh(
            "vm",
            `docker tag ${imageReference(site.registry.images.registry)} ${name} && docker push --quiet ${name}`,
          );
        }
      }
    };

    beforeAll(async () => {
      hosts.up();
      site = parseSite({
        ...reference,
        hosts: reference.hosts.map((host) => ({ ...host, ssh: { identityFile: hosts.key } })),
        registry: {
          ...reference.registry,
          services: reference.registry.services.map((service) =>
            service.role === "proxy" ? { ...service, upstream: `http://${OPERATOR}:5000` } : service,
          ),
        },
      });
      importImages(hosts, nginx, site.registry);
      // What asks the registry by its name trusts the private authority.
      importNode(hosts, site.monitoring.probeImage, authority.certificate);

      const put = (path: string, mode: string, content: string | Buffer) =>
        hosts.ssh("vm", `install -D -m ${mode} /dev/stdin ${path}`, content);
      for (const service of privateServices(site.registry)) {
        const { certificate, key } = authority.issue([service.serverName]);
        put(service.tls.certificate, "644", readFileSync(certificate));
        put(service.tls.key, "600", readFileSync(key));
        put(service.htpasswd, "600", htpasswdLine(account, 5));
        put(`/etc/docker/certs.d/${serviceInstance(site, service)}/ca.crt`, "644", readFileSync(authority.certificate));
      }
      const { maintenance } = site.registry;
      if (maintenance !== undefined)
        put(maintenance.credentialsFile, "600", `REG_USER=${account.username}\nREG_PASS=${account.password}\n`);
      const configuration = join(folder, "upstream.yml");
      const storage = { filesystem: { rootdirectory: join(folder, "data") } };
      writeFileSync(configuration, JSON.stringify({ version: 0.1, storage, http: { addr: `${OPERATOR}:5000` } }));
      upstream = spawn(hosts.program, ["op", ...registry.command, "serve", configuration], {
        env: hosts.environment,
        stdio: "ignore",
        // A group of its own: the program that enters the network is not the registry.
        detached: true,
      });
      await hosts.until("vm", `curl -sf http://${OPERATOR}:5000/v2/`, 20);
      for (const { name } of managedHosts(site)) deliver(deliveryOf("dns", name));
      deliver(registryDelivery(site));
      pushImages();
      hosts.ssh("vm", `cp --archive ${site.registry.directory}/data/private /root/copy`);

      // The workstation knows the hosts' keys, their names and the private authority, as the operator's would.
      mkdirSync(join(folder, "bin"));
      const ssh = execFileSync("which", ["ssh"], { encoding: "utf8" }).trim();
      writeFileSync(
        join(folder, "bin/ssh"),
        `#!/bin/sh\nexec ${ssh} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n`,
      );
      chmodSync(join(folder, "bin/ssh"), 0o755);
      const names = privateServices(site.registry).map(
        ({ serverName }) => `${registryHost(site).address} ${serverName}`,
      );
      writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${names.join("\n")}\n`);
    }, 600_000);
    afterAll(() => {
      if (upstream?.pid !== undefined) process.kill(-upstream.pid);
      authority.remove();
      hosts.down();
      rmSync(folder, { recursive: true });
    });

    const atWorkstation = (command: string): Outcome =>
      hosts.operator(
        ["unshare", "--mount", "bash", "-c", `mount --bind ${folder}/hosts /etc/hosts && cd ${root}\n${command}`],
        {
          PATH: `${folder}/bin:${process.env.PATH}`,
          CDKTF_OUTDIR: join(folder, "cdktf.out"),
          WARDEN_SITE: join(folder, "site.json"),
          NODE_EXTRA_CA_CERTS: authority.certificate,
          CURL_CA_BUNDLE: authority.certificate,
          npm_config_loglevel: "silent",
        },
      );

    /** Runs the commands of a page one after another, as one shell a place would. @returns what did not go as written */
    const wrong = (page: Document): string[] => {
      const said = new Map<string | undefined, string>();
      return commandsOf(page).flatMap((command: Command) => {
        const { place, run, expected, notRun } = command;
        const asked = [...run.text.matchAll(/\bread -r\w+ '[^']*' (\w+)/g)].map(([, name = ""]) => name);
        const assigned = /^\w+=\S+$/.test(run.text) ? `${run.text}\n` : "";
        const answers = asked.map((name) => `export ${name}=${quote(ANSWERS[name] ?? "")}\n`).join("");
        said.set(place.host, `${said.get(place.host) ?? ""}${assigned}${answers}`);
        if (notRun !== undefined || IN_CLUSTER.test(run.text)) return [];

        const script = `${said.get(place.host)}${run.text}`;
        const { status, output } =
          place.host === undefined ? atWorkstation(script) : hosts.try(labHost(place.host), `bash -c ${quote(script)}`);
        const [, undone, rolledBack] =
          /\/(dns|registry)\/delivery\.sh rollback$|warden -- rollback (\S+)$/.exec(run.text) ?? [];
        if (undone !== undefined) deliver(deliveryOf(undone, place.host));
        if (rolledBack !== undefined) for (const each of deliveriesTo(rolledBack)) deliver(each);
        const right = status === 0 && (expected === undefined || expectedPattern(expected).test(output.trim()));
        return right ? [] : [`${run.text}\n  status ${status}: ${output}`];
      });
    };

    const pages = documentsOf(parseSite(reference)).map(({ path }) => path);

    test.each(pages.filter((path) => path !== "README.md" && path !== "services.md" && path !== "site.md"))(
      "%s",
      (path) => {
        writeFileSync(join(folder, "site.json"), JSON.stringify(site));
        const page = documentsOf(site).find((each) => each.path === path);
        expect(page === undefined ? ["no such page"] : wrong(page)).toEqual([]);
      },
      300_000,
    );

    test("those that can only be parsed are these", () => {
      const parsed = documentsOf(site).flatMap((page) =>
        commandsOf(page).flatMap(({ run, notRun }) => (notRun === undefined ? [] : [`${run.text} (${notRun})`])),
      );
      process.stdout.write(
        `commands of the runbooks that were only parsed:\n${[...new Set(parsed)].map((line) => `  ${line}\n`).join("")}`,
      );
      expect(parsed.length).toBeGreaterThan(0);
    });
  },
);
