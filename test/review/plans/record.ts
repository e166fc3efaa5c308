import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import { findTerraform, terraformEnvironment } from "../../../review/terraform";
import { DnsStack } from "../../../stacks/dns-stack";
import { RegistryVmStack } from "../../../stacks/registry-vm-stack";
import { parsed, reference, type WholeInput } from "../../sites";

/**
 * Records the plans beside this file with the real Terraform:
 *
 *     node --import tsx test/review/plans/record.ts [provider directory] && npm run format
 *
 * The state of before is made by applying the configuration without its provisioners, which leaves what a delivery
 * would leave. The plans named `file-*` need the provider `local` 1.4.0, which is built with `go install
 * github.com/terraform-providers/terraform-provider-local@v1.4.0`; the argument is where it was installed. What differs
 * from run to run (ids, times) and where a provider came from are replaced, and the configuration of the resources is
 * left out.
 */

type Configuration = Record<string, unknown>;
type Change = {
  readonly name: string;
  readonly stack: string;
  readonly before?: Configuration;
  readonly after: Configuration;
};

const binary = findTerraform();
if (binary === undefined) throw new Error("there is no terraform or tofu on the PATH; install one to record plans");

const directory = mkdtempSync(join(tmpdir(), "plans-"));
const providers = process.argv[2];

const configurationFile = join(directory, "terraform.rc");
writeFileSync(
  configurationFile,
  providers === undefined
    ? ""
    : `provider_installation {\n  dev_overrides {\n    "hashicorp/local" = ${JSON.stringify(providers)}\n  }\n  direct {}\n}\n`,
);

const terraform = (cwd: string, ...args: string[]): string =>
  execFileSync(binary, args, {
    cwd,
    env: { ...terraformEnvironment(), TF_CLI_CONFIG_FILE: configurationFile },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });

const synthesised = (site: WholeInput, stack: "dns" | "registry-vm"): Configuration => {
  const outdir = mkdtempSync(join(directory, "out-"));
  const app = new App({ outdir });
  const Stack = stack === "dns" ? DnsStack : RegistryVmStack;
  new Stack(app, stack, { site: parsed(site) });
  app.synth();
  return JSON.parse(readFileSync(join(outdir, "stacks", stack, "cdk.tf.json"), "utf8"));
};

const walk = (value: unknown, visit: (key: string, value: unknown) => unknown): unknown => {
  if (Array.isArray(value)) return value.map((each) => walk(each, visit));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      const kept = visit(key, inner);
      return kept === undefined ? [] : [[key, walk(kept, visit)]];
    }),
  );
};

const withoutProvisioners = (configuration: Configuration): unknown =>
  walk(configuration, (key, value) => (key === "provisioner" || key === "connection" ? undefined : value));

/** Replaces ids and times, which differ in every run. */
const settled = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "00000000-0000-0000-0000-000000000000")
    .replace(/"timestamp":"[^"]*"/, '"timestamp":"2026-04-19T00:00:00Z"')
    .replace(/registry\.[\w.]+\/hashicorp/g, "registry.example/hashicorp")
    .replaceAll(directory, "/recorded");

interface Plan {
  configuration?: { root_module?: { resources?: unknown } };
}

const record = ({ name, stack, before, after }: Change, prepare: (cwd: string) => void = () => {}): void => {
  const cwd = join(directory, name, "out", "stacks", stack);
  mkdirSync(cwd, { recursive: true });
  const write = (configuration: unknown) => writeFileSync(join(cwd, "cdk.tf.json"), JSON.stringify(configuration));
  if (before !== undefined) {
    write(withoutProvisioners(before));
    if (!name.startsWith("file-")) terraform(cwd, "init", "-input=false");
    terraform(cwd, "apply", "-auto-approve", "-input=false");
  }
  prepare(cwd);
  write(after);
  if (!name.startsWith("file-")) terraform(cwd, "init", "-input=false");
  terraform(cwd, "plan", "-input=false", "-out=plan");
  const plan = JSON.parse(settled(terraform(cwd, "show", "-json", "plan"))) as Plan;
  if (plan.configuration?.root_module !== undefined) plan.configuration.root_module.resources = undefined;
  writeFileSync(join(__dirname, `${name}.json`), `${JSON.stringify(plan)}\n`);
  process.stdout.write(`${name}\n`);
};

/** The same site with one of its hosts or services changed. */
const hosts = (change: (host: WholeInput["hosts"][number]) => WholeInput["hosts"][number]): WholeInput => ({
  ...reference,
  hosts: reference.hosts.map(change),
});

const anotherResolver = hosts((host) =>
  host.resolver === undefined
    ? host
    : { ...host, resolver: { ...host.resolver, nameservers: ["192.0.2.53", "192.0.2.54"] } },
);
const oneHostDeferred = hosts((host) =>
  host.name === "pve" ? { ...host, resolver: undefined, deferred: { reason: "its board is being replaced" } } : host,
);
const withoutOneService: WholeInput = {
  ...reference,
  registry: { ...reference.registry, services: reference.registry.services.filter(({ name }) => name !== "kyverno") },
};

const dns = synthesised(reference, "dns");
record({ name: "dns-first", stack: "dns", after: dns });
record({ name: "dns-no-changes", stack: "dns", before: dns, after: dns });
record({ name: "dns-another-resolver", stack: "dns", before: dns, after: synthesised(anotherResolver, "dns") });
record({ name: "dns-host-deferred", stack: "dns", before: dns, after: synthesised(oneHostDeferred, "dns") });
record({ name: "dns-failed-half-way", stack: "dns", before: dns, after: dns }, (cwd) => {
  const [address = ""] = terraform(cwd, "state", "list").split("\n");
  terraform(cwd, "taint", address);
});

const registryVm = synthesised(reference, "registry-vm");
record({ name: "registry-vm-first", stack: "registry-vm", after: registryVm });
record({
  name: "registry-vm-service-removed",
  stack: "registry-vm",
  before: registryVm,
  after: synthesised(withoutOneService, "registry-vm"),
});

/**
 * A secret that is recognized by its mark, and by its value where Terraform loses the mark: in the output of a
 * terraform_data.
 */
const withToken = (token: string, more: Configuration): Configuration => ({
  variable: { token: { type: "string", sensitive: true, default: token } },
  resource: {
    terraform_data: {
      marked: { triggers_replace: { "/etc/token": "${var.token}", "/etc/plain": "plain\n" }, ...more },
      leaked: { input: { list: ["${var.token}", 1] } },
    },
  },
});
record({
  name: "secret",
  stack: "secret",
  before: withToken("planted-Secret-41/+", {}),
  after: withToken('planted-Secret-42"\n', { input: "x" }),
});

if (providers !== undefined) {
  const file = (filename: string, content: string): Configuration => ({
    terraform: { required_providers: { local: { source: "hashicorp/local" } } },
    resource: {
      local_file: {
        // Like the program's ConfigMap: named by its content, immutable, and created before the old one is removed.
        program: { filename, content, lifecycle: { create_before_destroy: true } },
        drifted: { filename: "drifted.txt", content: "as it should be\n" },
      },
    },
  });
  const program = (version: number) => `${`export const version=${version};`.repeat(60)}\n`;
  record(
    {
      name: "file-replaced-and-drift",
      stack: "file",
      before: file("probe-1.mjs", program(1)),
      after: file("probe-2.mjs", program(2)),
    },
    (cwd) => rmSync(join(cwd, "drifted.txt")),
  );
}

rmSync(directory, { recursive: true });
