import { Testing } from "cdktf";
import own from "../../package.json";
import { RegistryVmStack } from "../../stacks/registry-vm-stack";
import { parsed, reference, small, type WholeInput } from "../sites";

const synth = (site: WholeInput = reference) =>
  JSON.parse(Testing.synth(new RegistryVmStack(Testing.app(), "registry-vm", { site: parsed(site) }), true));
const inputsOf = (site?: WholeInput): Record<string, string> => {
  const [resource] = Object.values(synth(site).resource.terraform_data);
  return (resource as { triggers_replace: Record<string, string> }).triggers_replace;
};

test("the plan shows every file of the services", () => {
  expect(Object.keys(inputsOf()).sort()).toEqual([
    "/etc/systemd/system/docker-compose-registry.service",
    ...["caches", "clean-up", "disk", "scan", "scrub"].flatMap((task) => [
      `/etc/systemd/system/registry-maintenance-${task}.service`,
      `/etc/systemd/system/registry-maintenance-${task}.timer`,
    ]),
    "/opt/registry/config-dockerhub.yml",
    "/opt/registry/config-ghcr.yml",
    "/opt/registry/config-k8s.yml",
    "/opt/registry/config-kyverno.yml",
    "/opt/registry/config-private.read-only.yml",
    "/opt/registry/config-private.yml",
    "/opt/registry/config-quay.yml",
    "/opt/registry/docker-compose.private.read-only.yml",
    "/opt/registry/docker-compose.yml",
    "/opt/registry/maintenance.dockerhub.settings",
    "/opt/registry/maintenance.ghcr.settings",
    "/opt/registry/maintenance.k8s.settings",
    "/opt/registry/maintenance.kyverno.settings",
    "/opt/registry/maintenance.private.settings",
    "/opt/registry/maintenance.quay.settings",
    "/opt/registry/maintenance.settings",
    "/opt/registry/maintenance.sh",
    "/opt/registry/nginx.conf",
    "/opt/registry/retention-private.json",
    "/opt/registry/warden.mjs",
    "cron and systemd: disabled is what runs a command that contains",
    "program",
    "settings",
    "version",
  ]);
});

test("programs stand in the plan and in the state as their digests", () => {
  const programs = ["/opt/registry/maintenance.sh", "/opt/registry/warden.mjs", "program"];
  for (const name of programs) expect(inputsOf()[name]).toMatch(/^sha256:[0-9a-f]{64}$/);
});

test("what the plan shows", () => {
  const { version, ...inputs } = inputsOf();
  const texts = Object.entries(inputs).filter(([, value]) => !value.startsWith("sha256:"));
  expect(version).toBe(own.version);
  expect(Object.fromEntries(texts)).toMatchSnapshot();
});

test("variables of nginx are no templates of Terraform, nor are dollars of compose", () => {
  expect(inputsOf()["/opt/registry/nginx.conf"]).toContain("proxy_set_header Host $http_host;");
  expect(JSON.stringify(inputsOf())).not.toMatch(/(?<!\$)(\$\$)*\$\{/);
});

test("a site without maintenance gets none: no timer, no program, and cron is left alone", () => {
  const inputs = inputsOf(small);
  expect(Object.keys(inputs).filter((name) => /maintenance|warden\.mjs|retention|cron/.test(name))).toEqual([]);
  expect(inputs.settings).toContain("REPLACED=()");
});

test("a site with one private registry and no browser has two services", () => {
  expect(inputsOf(small).settings).toContain("CONTAINERS=('registry-home' 'registry-nginx')");
});

test("the operator's files are named, for the host to look at, and mounted", () => {
  expect(inputsOf().settings).toContain(
    "SECRETS=('/opt/registry/htpasswd' '/opt/registry/tls/privkey.pem' '/opt/registry/maintenance.env')",
  );
});
