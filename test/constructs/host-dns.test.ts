import { Testing } from "cdktf";
import { HostDns, hostDnsOf } from "../../constructs/host-dns";
import { TerraformData } from "../../constructs/terraform-data";
import { dnsHosts, hasDns } from "../../site/schema";
import { parsed, referenceSite, SHIPPED, type WholeInput } from "../sites";

const [host] = dnsHosts(parsed(SHIPPED["hosts-only"] as WholeInput));
if (host === undefined) throw new Error("the example has no host with a resolver");
const names = { internal: { name: "wiki.example", address: "192.0.2.30" }, external: "example.org" };

const triggers = (stack: string): string => {
  const [data] = Object.values(JSON.parse(stack).resource.terraform_data) as { triggers_replace: object }[];
  return JSON.stringify(data?.triggers_replace);
};

test("needs a host and two names: no site, no provider, and nothing watches it", () => {
  const stack = Testing.synthScope((scope) => {
    expect(new HostDns(scope, "dns", { host, names }).resource).toBeInstanceOf(TerraformData);
  });
  expect(Object.keys(JSON.parse(stack).resource)).toEqual(["terraform_data"]);
  expect(triggers(stack)).toContain("wiki.example");
  expect(triggers(stack)).not.toContain("watch.sh");
});

test("is watched if there is a Pushgateway for the reports", () => {
  const reports = { pushgateway: "http://192.0.2.9:9091", cluster: "home" };
  const stack = Testing.synthScope((scope) => {
    new HostDns(scope, "dns", { host, names, registries: ["registry.example"], reports });
  });
  expect(triggers(stack)).toContain(`http://192.0.2.9:9091/metrics/job/registry-warden-host/host/${host.name}`);
  expect(triggers(stack)).toContain("registry.example");
});

test("takes both from a site", () => {
  const [first] = dnsHosts(referenceSite);
  if (first === undefined || !hasDns(referenceSite)) throw new Error("the reference site has no host with a resolver");
  expect(hostDnsOf(referenceSite, first)).toMatchObject({
    host: first,
    names: referenceSite.dns,
    registries: ["registry.viktorbarzin.me"],
  });
});
