import { Testing } from "cdktf";
import small from "../../examples/small/site";
import { parseSite } from "../../site/load";
import reference from "../../site/reference";
import type { SiteInput } from "../../site/schema";
import { RegistryVmStack } from "../../stacks/registry-vm-stack";

const synth = (site: SiteInput = reference) =>
  JSON.parse(Testing.synth(new RegistryVmStack(Testing.app(), "registry-vm", { site: parseSite(site) }), true));
const inputsOf = (site?: SiteInput): Record<string, string> => {
  const [resource] = Object.values(synth(site).resource.terraform_data);
  return (resource as { triggers_replace: Record<string, string> }).triggers_replace;
};

test("the plan shows every file of the services", () => {
  expect(Object.keys(inputsOf()).sort()).toEqual([
    "/etc/systemd/system/docker-compose-registry.service",
    "/opt/registry/config-dockerhub.yml",
    "/opt/registry/config-ghcr.yml",
    "/opt/registry/config-k8s.yml",
    "/opt/registry/config-kyverno.yml",
    "/opt/registry/config-private.yml",
    "/opt/registry/config-quay.yml",
    "/opt/registry/docker-compose.yml",
    "/opt/registry/nginx.conf",
    "program",
    "settings",
  ]);
});

test("what the plan shows", () => {
  const { program, ...files } = inputsOf();
  expect(files).toMatchSnapshot();
});

test("variables of nginx are no templates of Terraform, nor are dollars of compose", () => {
  expect(inputsOf()["/opt/registry/nginx.conf"]).toContain("proxy_set_header Host $http_host;");
  expect(JSON.stringify(inputsOf())).not.toMatch(/(?<!\$)(\$\$)*\$\{/);
});

test("a site with one private registry and no browser has two services", () => {
  expect(inputsOf(small).settings).toContain("CONTAINERS=('registry-home' 'registry-nginx')");
});

test("the operator's files are named, for the host to look at, and mounted", () => {
  expect(inputsOf().settings).toContain("SECRETS=('/opt/registry/htpasswd' '/opt/registry/tls/privkey.pem')");
});
