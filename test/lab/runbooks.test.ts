import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { type Command, commandsOf, type Document } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { assembleScript, type Delivery } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import { dnsDelivery } from "../../hosts/resolver";
import { imageReference } from "../../site/image";
import {
  deferredHosts,
  dnsHosts,
  managedHosts,
  privateServices,
  registryHost,
  serviceInstance,
  wardenImage,
} from "../../site/schema";
import { stateKey } from "../../site/stacks";
import { parsed, reference, referenceSite, type WholeSite } from "../sites";
import { createCertificateAuthority } from "./certificates";
import { copyCheckout } from "./checkout";
import { importImages, importNextRegistry, importNode } from "./docker-images";
import { expectedPattern } from "./expected";
import { describeWithHosts, Hosts, type LabHost, type Outcome } from "./hosts";
import { htpasswdLine } from "./registry";

const root = join(__dirname, "../..");
/** The operator's place in the lab; its registry is the upstream of every cache. */
const OPERATOR = "10.99.0.20";

/** Where the hosts of the lab report to: the name of the site's Pushgateway is not known here. */
const GATEWAY = `${OPERATOR}:9091`;
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

/** The next version of the registry, as the runbook names it. */
const NEXT = /registry:(3\S*)$/;

/** Installing it takes 420 MB, so a test run does not do so by itself. */
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
  ({ nginx, registry, terraform, pushgateway, "registry-v3": next }) => {
    const hosts = new Hosts();
    const folder = mkdtempSync(join(tmpdir(), "warden-runbooks-"));
    const checkout = join(folder, "checkout");
    const siteFile = join(checkout, "site.json");
    const authority = createCertificateAuthority();
    let upstream: ChildProcess;
    let gateway: ChildProcess;
    let site: WholeSite;

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

    /** The site as it is meant, in the checkout and on the hosts, after a page that had it changed or rolled back. */
    const restore = (): void => {
      writeFileSync(siteFile, JSON.stringify(site));
      for (const host of dnsHosts(site)) deliver(dnsDelivery(site, host));
      deliver(registryDelivery(site));
    };

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

    /** The operator's checkout: the site, and in its history what CI builds its images from. */
    const checkOut = (): void => {
      copyCheckout(checkout);
      for (const modules of ["node_modules", "tools/cdktf/node_modules"])
        symlinkSync(join(root, modules), join(checkout, modules));
      const git = (...args: string[]) =>
        execFileSync("git", ["-C", checkout, "-c", "user.name=x", "-c", "user.email=x", ...args]);
      for (const { branch, dockerfile } of site.ci?.images ?? []) {
        mkdirSync(dirname(join(checkout, dockerfile)), { recursive: true });
        writeFileSync(join(checkout, dockerfile), `FROM scratch\nCOPY ${dockerfile} /\n`);
        git("init", "--quiet", "--initial-branch", branch);
        git("add", dockerfile);
        git("commit", "--quiet", "--message", "build the image");
      }
    };

    beforeAll(async () => {
      hosts.up();
      site = parsed({
        ...reference,
        hosts: reference.hosts.map((host) => ({ ...host, ssh: { identityFile: hosts.key } })),
        registry: {
          ...reference.registry,
          services: reference.registry.services.map((service) =>
            service.role === "proxy" ? { ...service, upstream: `http://${OPERATOR}:5000` } : service,
          ),
          maintenance: {
            ...reference.registry.maintenance,
            pushgateway: `http://${GATEWAY}`,
          } as typeof reference.registry.maintenance,
        },
      });
      checkOut();
      importImages(hosts, nginx, site.registry);
      // What asks the registry by its name trusts the private authority.
      importNode(hosts, wardenImage(site), authority.certificate);

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
      gateway = spawn(hosts.program, ["op", ...pushgateway.command, `--web.listen-address=${GATEWAY}`], {
        env: hosts.environment,
        stdio: "ignore",
        detached: true,
      });
      await hosts.until("vm", `curl -sf http://${OPERATOR}:5000/v2/ && curl -sf http://${GATEWAY}/-/ready`, 20);
      restore();
      pushImages();
      hosts.ssh("vm", `cp --archive ${site.registry.directory}/data/private /root/copy`);

      for (const { address } of deferredHosts(site)) hosts.standIn(address);
      const trial = documentsOf(site)
        .flatMap(commandsOf)
        .find(({ run }) => NEXT.test(run.text));
      importNextRegistry(
        hosts,
        next,
        `${site.registry.images.registry.repository}:${NEXT.exec(trial?.run.text ?? "")?.[1]}`,
      );

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
      // Whoever asks for another name is refused at once, instead of waiting for a resolver that is not there.
      writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\n");
    }, 600_000);
    afterAll(() => {
      for (const child of [upstream, gateway]) if (child?.pid !== undefined) process.kill(-child.pid);
      authority.remove();
      hosts.down();
      rmSync(folder, { recursive: true });
    });

    /** The environment and the words of a command at the workstation. */
    const workstation = (command: string): [words: string[], environment: NodeJS.ProcessEnv] => {
      const mounts = ["hosts", "resolv.conf"].map((file) => `mount --bind ${folder}/${file} /etc/${file}`).join(" && ");
      return [
        ["unshare", "--mount", "bash", "-c", `${mounts} && cd ${checkout}\n${command}`],
        {
          PATH: `${folder}/bin:${dirname(terraform.command[0])}:${process.env.PATH}`,
          TERRAFORM_BINARY_NAME: terraform.command[0],
          WARDEN_SITE: siteFile,
          NODE_EXTRA_CA_CERTS: authority.certificate,
          CURL_CA_BUNDLE: authority.certificate,
          npm_config_loglevel: "silent",
          // An operator's terminal is none of CI, where cdktf-cli shows no question before it has ended.
          CI: undefined,
          CONTINUOUS_INTEGRATION: undefined,
          BUILD_NUMBER: undefined,
          RUN_ID: undefined,
          GITHUB_ACTIONS: undefined,
        },
      ];
    };

    const atWorkstation = (command: string, input: string): Outcome => {
      const [words, environment] = workstation(command);
      return hosts.operator(words, environment, input);
    };

    /** A command that wants a terminal; `answer` says what is typed when that much has been said. */
    const atTerminal = (command: string, answer: (said: string) => string): Promise<Outcome> => {
      const script = join(folder, "typed");
      writeFileSync(script, command);
      // A return that comes before the program is ready for it has to stay one.
      const [words, environment] = workstation(
        `script --quiet --return --flush --command 'stty -icrnl; bash ${script}' /dev/null`,
      );
      return new Promise((resolve, reject) => {
        const child = spawn(hosts.program, ["op", ...words], { env: { ...hosts.environment, ...environment } });
        let written = "";
        const output = (): string => stripVTControlCharacters(written).replaceAll("\r", "");
        const take = (chunk: Buffer): void => {
          written += chunk;
          const typed = answer(output());
          if (typed !== "") child.stdin.write(typed);
        };
        child.stdout.on("data", take);
        child.stderr.on("data", take);
        child.on("error", reject);
        child.on("close", (status) => resolve({ status: status ?? 1, output: output() }));
      });
    };

    /** Approves each stack, once. */
    const deploy = (command: string): Promise<Outcome> => {
      const approved = new Set<string>();
      return atTerminal(command, (said) =>
        [...said.matchAll(/Please review the diff output above for (\S+)\n/g)]
          .map(([, stack = ""]) => stack)
          .filter((stack) => !approved.has(stack) && approved.add(stack))
          .map(() => "\r")
          .join(""),
      );
    };

    let edits = 0;
    /** What the text of a page asks for before a command. */
    const beforehand = (page: Document, { run }: Command): void => {
      const write = (changed: WholeSite): void => writeFileSync(siteFile, JSON.stringify(changed));
      const { services, images } = site.registry;
      const isHost = managedHosts(site).some(({ name }) => page.path === `runbooks/${name}.md`);
      if (isHost && run.text === "npm run plan") {
        // Another change each time: a stack without one is not deployed.
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
      const renewed = /^chown root (\S+)\.new (\S+)\.new /.exec(run.text);
      if (renewed !== null) for (const path of renewed.slice(1)) hosts.ssh("vm", `cp -p ${path} ${path}.new`);
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

    const outcomeOf = (script: string, host: string | undefined, input: string): Outcome | Promise<Outcome> => {
      if (/\bcdktf -- deploy\b/.test(script)) return deploy(script);
      if (host === undefined) return atWorkstation(script, input);
      return /^docker login /m.test(script)
        ? hosts.try(
            labHost(host),
            `script --quiet --return --command ${quote(script)} /dev/null`,
            `${account.username}\n${account.password}\n`,
          )
        : hosts.try(labHost(host), `bash -c ${quote(script)}`, input);
    };

    /** Runs the commands of a page one after another, as one shell a place would. @returns what did not go as written */
    const wrong = async (page: Document): Promise<string[]> => {
      const said = new Map<string | undefined, string>();
      const mistakes: string[] = [];
      for (const command of commandsOf(page)) {
        const { place, run, expected, notRun } = command;
        if (notRun !== undefined || IN_CLUSTER.test(run.text)) continue;
        beforehand(page, command);
        const asked = [...run.text.matchAll(/\bread -r\w+ '[^']*' (\w+)/g)].map(([, name = ""]) => name);
        const heard = asked.map((name) => `\n[[ $${name} == ${quote(ANSWERS[name] ?? "")} ]]`).join(" &&");
        const { status, output } = await outcomeOf(
          `${said.get(place.host) ?? ""}${run.text}${heard === "" ? "" : ` &&${heard}`}`,
          place.host,
          [...asked.map((name) => ANSWERS[name]), ...(/ htpasswd /.test(run.text) ? [account.password] : [])]
            .map((typed) => `${typed}\n`)
            .join(""),
        );
        const assigned = /^\w+=\S+$/.test(run.text) ? `${run.text}\n` : "";
        const answers = asked.map((name) => `export ${name}=${quote(ANSWERS[name] ?? "")}\n`).join("");
        said.set(place.host, `${said.get(place.host) ?? ""}${assigned}${answers}`);
        if (/delivery\.sh rollback$|warden -- rollback \S+$/.test(run.text)) restore();
        if (status !== 0 || (expected !== undefined && !expectedPattern(expected).test(output.trim())))
          mistakes.push(`${run.text}\n  status ${status}: ${output}`);
      }
      return mistakes;
    };

    const pages = documentsOf(referenceSite).map(({ path }) => path);

    test.each(pages.filter((path) => path !== "README.md" && path !== "services.md" && path !== "site.md"))(
      "%s",
      async (path) => {
        const page = documentsOf(site).find((each) => each.path === path);
        expect(page === undefined ? ["no such page"] : await wrong(page)).toEqual([]);
        if (readFileSync(siteFile, "utf8") !== JSON.stringify(site)) restore();
      },
      600_000,
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
