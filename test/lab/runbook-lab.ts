import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Command, Document } from "../../handbook/document";
import { assembleScript, type Delivery } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import { dnsDelivery } from "../../hosts/resolver";
import { imageReference } from "../../site/image";
import { dataDirectory } from "../../site/registry";
import {
  deferredHosts,
  dnsHosts,
  privateServices,
  registryHost,
  serviceInstance,
  wardenImage,
} from "../../site/schema";
import { quote } from "../../text/shell-word";
import { pageOf } from "../pages";
import { parsed, reference, type WholeSite } from "../sites";
import { createCertificateAuthority } from "./certificates";
import { copyCheckout } from "./checkout";
import type { Component } from "./components";
import { importImages, importNode } from "./docker-images";
import { type PromptAnswers, type Typed, type Typist, typed } from "./drill";
import { endProcessGroup, Hosts, type LabHost, type Outcome } from "./hosts";
import { labHtpasswdLine } from "./registry";
import { account, PUSHGATEWAY_ADDRESS, startUpstream, UPSTREAM } from "./registry-host";

const root = join(__dirname, "../..");
/** Where the lab's hosts report: the name of the site's Pushgateway does not resolve here. */

/** The tag that CI would give to the image of its last commit. */
export const COMMIT = "0123abcd";

/** An image that cannot be pulled any more once it has been broken. */
const BROKEN = "team/broken:1";

const ANSWERS: PromptAnswers = {
  REG_USER: account.username,
  REG_PASS: account.password,
  account: account.username,
  line: labHtpasswdLine(account, 5).trim(),
  copy: "/root/copy",
  commit: COMMIT,
  from: UPSTREAM,
  name: BROKEN,
};

/** The components that every lab of the runbooks needs. */
export type RunbookComponents = Readonly<Record<"nginx" | "registry" | "terraform" | "pushgateway", Component>>;

/** The hosts of the reference site, all delivered and in use, and an operator at a workstation who types from the pages. */
export class RunbookLab {
  readonly #components: RunbookComponents;
  readonly hosts = new Hosts();
  readonly folder = mkdtempSync(join(tmpdir(), "warden-runbooks-"));
  readonly checkout = join(this.folder, "checkout");
  readonly siteFile = join(this.checkout, "site.json");
  readonly #authority = createCertificateAuthority();
  readonly #running: ChildProcess[] = [];
  #given: WholeSite | undefined;

  constructor(components: RunbookComponents) {
    this.#components = components;
  }

  /** The reference site, with the differences of the lab: ssh keys, upstreams, the Pushgateway. */
  get site(): WholeSite {
    if (this.#given === undefined) throw new Error("the lab is not up");
    return this.#given;
  }

  page(path: string): Document {
    return pageOf(this.site, path);
  }

  labHost(name: string): LabHost {
    return name === this.site.registry.host ? "vm" : "pve";
  }

  async up(): Promise<void> {
    const { hosts } = this;
    hosts.up();
    this.#given = parsed({
      ...reference,
      hosts: reference.hosts.map((host) => ({ ...host, ssh: { identityFile: hosts.key } })),
      registry: {
        ...reference.registry,
        services: reference.registry.services.map((service) =>
          service.role === "proxy" ? { ...service, upstream: UPSTREAM } : service,
        ),
        maintenance: {
          ...reference.registry.maintenance,
          pushgateway: `http://${PUSHGATEWAY_ADDRESS}`,
        } as typeof reference.registry.maintenance,
      },
    });
    this.#checkOut();
    this.#makeWorkstation();
    this.#running.push(
      startUpstream(hosts, this.#components.registry, this.folder),
      hosts.startAtOperator(...this.#components.pushgateway.command, `--web.listen-address=${PUSHGATEWAY_ADDRESS}`),
    );
    this.prepareVm();
    await hosts.until("vm", `curl -sf ${UPSTREAM}/v2/ && curl -sf http://${PUSHGATEWAY_ADDRESS}/-/ready`);
    this.restore();
    this.pushImages();
    hosts.ssh("vm", `cp --archive ${this.site.registry.directory}/data/private /root/copy`);
    for (const { address } of deferredHosts(this.site)) hosts.standIn(address);
  }

  down(): void {
    this.#running.forEach(endProcessGroup);
    this.#authority.remove();
    this.hosts.down();
    rmSync(this.folder, { recursive: true });
  }

  /** Sets up the VM as an operator does before the first delivery, with the images, which cannot be pulled here. */
  prepareVm(): void {
    const { hosts, site } = this;
    const authority = this.#authority;
    importImages(hosts, this.#components.nginx, site.registry);
    // Programs that connect to the registry by its name trust the private CA.
    importNode(hosts, wardenImage(site), authority.certificate);
    this.bringCertificate();
    for (const service of privateServices(site.registry)) {
      this.hosts.put(service.htpasswd, "600", labHtpasswdLine(account, 5));
      this.hosts.put(
        `/etc/docker/certs.d/${serviceInstance(site, service)}/ca.crt`,
        "644",
        readFileSync(authority.certificate),
      );
    }
    const { maintenance } = site.registry;
    if (maintenance !== undefined)
      this.hosts.put(
        maintenance.credentialsFile,
        "600",
        `REG_USER=${account.username}\nREG_PASS=${account.password}\n`,
      );
  }

  /**
   * Installs a certificate and key for each private registry, at the paths in the site.
   *
   * @param ending suffix of the file names; default: none
   * @param ended whether it has expired; default: false
   */
  bringCertificate(ending = "", ended = false): void {
    for (const service of privateServices(this.site.registry)) {
      const names: [string] = [service.serverName];
      const { certificate, key } = ended ? this.#authority.issueEnded(names) : this.#authority.issue(names);
      this.hosts.put(`${service.tls.certificate}${ending}`, "644", readFileSync(certificate));
      this.hosts.put(`${service.tls.key}${ending}`, "600", readFileSync(key));
    }
  }

  deliver(delivery: Delivery): void {
    const host = this.labHost(delivery.host.name);
    const script = `.registry-warden/${delivery.name}.sh`;
    this.hosts.ssh(host, `install -d -m 0700 .registry-warden && cat >${script}`, assembleScript(delivery));
    this.hosts.ssh(host, `bash ${script} apply && bash ${script} confirm`);
  }

  /** Restores the site, in the checkout and on the hosts, after a page that changed it or rolled it back. */
  restore(): void {
    writeFileSync(this.siteFile, JSON.stringify(this.site));
    for (const host of dnsHosts(this.site)) this.deliver(dnsDelivery(this.site, host));
    this.deliver(registryDelivery(this.site));
  }

  /** Pushes what CI would have pushed. */
  pushImages(): void {
    const { hosts, site } = this;
    for (const image of site.ci?.images ?? []) {
      const [service] = privateServices(site.registry).filter(({ name }) => name === image.service);
      if (service === undefined) continue;
      const instance = serviceInstance(site, service);
      hosts.ssh("vm", `docker login --username ${account.username} --password-stdin ${instance}`, account.password);
      for (const tag of [...image.tags, COMMIT]) {
        const name = `${instance}/${image.repository}:${tag}`;
        hosts.ssh(
          "vm",
          `docker tag ${imageReference(site.registry.images.registry)} ${name} && docker push --quiet ${name}`,
        );
      }
    }
  }

  /** Pushes an image and deletes the data of its manifest from the disk. */
  breakImage(): void {
    const { hosts, site } = this;
    const [service] = privateServices(site.registry);
    if (service === undefined) throw new Error("the reference site has a private registry");
    const name = `${serviceInstance(site, service)}/${BROKEN}`;
    hosts.ssh(
      "vm",
      `docker tag ${imageReference(site.registry.images.nginx)} ${name} && docker push --quiet ${name} &&
       digest=$(docker inspect --format '{{ index .RepoDigests 0 }}' ${name} | cut -d : -f 3) &&
       rm ${dataDirectory(site.registry, service)}/docker/registry/v2/blobs/sha256/\${digest:0:2}/$digest/data`,
    );
  }

  /** A shell at each place, which keeps assigned variables and answers. */
  session(answers: PromptAnswers = {}): Session {
    return new Session(this, { ...ANSWERS, ...answers });
  }

  /** A script on the workstation. */
  atWorkstation(script: string, input = ""): Outcome {
    const [words, environment] = this.#workstation(script);
    return this.hosts.operator(words, environment, input);
  }

  /** A command that needs a terminal; `answer` returns what to type, given the output so far. */
  atTerminal(command: string, answer: (said: string) => string): Promise<Outcome> {
    const script = join(this.folder, "typed");
    writeFileSync(script, command);
    // A carriage return that is sent before the program is ready for it must not be converted.
    const [words, environment] = this.#workstation(
      `script --quiet --return --flush --command 'stty -icrnl; bash ${script}' /dev/null`,
    );
    return new Promise((resolve, reject) => {
      const child = spawn(this.hosts.program, ["op", ...words], { env: { ...this.hosts.environment, ...environment } });
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
  }

  /** Approves each stack, once. */
  #deploy(command: string): Promise<Outcome> {
    const approved = new Set<string>();
    return this.atTerminal(command, (said) =>
      [...said.matchAll(/Please review the diff output above for (\S+)\n/g)]
        .map(([, stack = ""]) => stack)
        .filter((stack) => !approved.has(stack) && approved.add(stack))
        .map(() => "\r")
        .join(""),
    );
  }

  /** Runs a script where a page has it typed; undefined is the workstation. */
  run(script: string, host: string | undefined, input: string): Outcome | Promise<Outcome> {
    if (/\bcdktf -- deploy\b/.test(script)) return this.#deploy(script);
    if (host === undefined) return this.atWorkstation(script, input);
    return /^docker login /m.test(script)
      ? this.hosts.try(
          this.labHost(host),
          `script --quiet --return --command ${quote(script)} /dev/null`,
          `${account.username}\n${account.password}\n`,
        )
      : this.hosts.try(this.labHost(host), `bash -c ${quote(script)}`, input);
  }

  /** The operator's checkout: the site, with the sources from which CI builds its images in its history. */
  #checkOut(): void {
    const { checkout } = this;
    copyCheckout(checkout);
    for (const modules of ["node_modules", "tools/cdktf/node_modules"])
      symlinkSync(join(root, modules), join(checkout, modules));
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", checkout, "-c", "user.name=x", "-c", "user.email=x", ...args]);
    for (const { branch, dockerfile } of this.site.ci?.images ?? []) {
      mkdirSync(dirname(join(checkout, dockerfile)), { recursive: true });
      writeFileSync(join(checkout, dockerfile), `FROM scratch\nCOPY ${dockerfile} /\n`);
      git("init", "--quiet", "--initial-branch", branch);
      git("add", dockerfile);
      git("commit", "--quiet", "--message", "build the image");
    }
  }

  /** The workstation knows the hosts' keys, their names and the private CA, as the operator's would. */
  #makeWorkstation(): void {
    const { folder, site } = this;
    mkdirSync(join(folder, "bin"));
    const ssh = execFileSync("which", ["ssh"], { encoding: "utf8" }).trim();
    writeFileSync(
      join(folder, "bin/ssh"),
      `#!/bin/sh\nexec ${ssh} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n`,
    );
    chmodSync(join(folder, "bin/ssh"), 0o755);
    const names = privateServices(site.registry).map(({ serverName }) => `${registryHost(site).address} ${serverName}`);
    writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${names.join("\n")}\n`);
    // Lookups of other names fail immediately, instead of waiting for a resolver that does not exist.
    writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\n");
  }

  /** The environment and the words of a command at the workstation. */
  #workstation(command: string): [words: string[], environment: NodeJS.ProcessEnv] {
    const { folder } = this;
    const authority = this.#authority;
    const { terraform } = this.#components;
    const mounts = ["hosts", "resolv.conf"].map((file) => `mount --bind ${folder}/${file} /etc/${file}`).join(" && ");
    return [
      ["unshare", "--mount", "bash", "-c", `${mounts} && cd ${this.checkout}\n${command}`],
      {
        PATH: `${folder}/bin:${dirname(terraform.command[0])}:${process.env.PATH}`,
        TERRAFORM_BINARY_NAME: terraform.command[0],
        WARDEN_SITE: this.siteFile,
        NODE_EXTRA_CA_CERTS: authority.certificate,
        CURL_CA_BUNDLE: authority.certificate,
        npm_config_loglevel: "silent",
        // An operator's terminal is not CI, where cdktf-cli shows no question before it has exited.
        CI: undefined,
        CONTINUOUS_INTEGRATION: undefined,
        BUILD_NUMBER: undefined,
        RUN_ID: undefined,
        GITHUB_ACTIONS: undefined,
      },
    ];
  }
}

/** What an operator types at the places of a page, one command after another. */
export class Session implements Typist {
  readonly #lab: RunbookLab;
  readonly #answers: PromptAnswers;
  readonly #said = new Map<string | undefined, string>();

  constructor(lab: RunbookLab, answers: PromptAnswers) {
    this.#lab = lab;
    this.#answers = answers;
  }

  /** @param answers what to type at the prompts of this command, in addition to the session's own answers */
  async type(command: Command, answers: PromptAnswers = {}): Promise<Typed> {
    const { place, run } = command;
    const known: PromptAnswers = { ...this.#answers, ...answers };
    const asked = [...run.text.matchAll(/\bread -r\w+ '[^']*' (\w+)/g)].map(([, name = ""]) => name);
    const heard = asked.map((name) => `\n[[ $${name} == ${quote(known[name] ?? "")} ]]`).join(" &&");
    const before = this.#said.get(place.host) ?? "";
    const { status, output } = await this.#lab.run(
      `${before}${run.text}${heard === "" ? "" : ` &&${heard}`}`,
      place.host,
      [...asked.map((name) => known[name]), ...(/ htpasswd /.test(run.text) ? [known.REG_PASS] : [])]
        .map((typed) => `${typed}\n`)
        .join(""),
    );
    const assigned = /^\w+=\S+$/.test(run.text) ? `${run.text}\n` : "";
    const exported = asked.map((name) => `export ${name}=${quote(known[name] ?? "")}\n`).join("");
    this.#said.set(place.host, `${before}${assigned}${exported}`);
    return typed(command, { status, output });
  }
}
