import { Testing } from "cdktf";
import { DnsStack } from "../../stacks/dns-stack";
import { parsed, reference, type WholeInput } from "../sites";

const synth = (site: WholeInput = reference) =>
  JSON.parse(Testing.synth(new DnsStack(Testing.app(), "dns", { site: parsed(site) }), true));
const stack = synth();
const resources: Record<string, { triggers_replace: Record<string, string> }> = stack.resource.terraform_data;

test("each host that is not deferred has one resource, by its name", () => {
  expect(Object.keys(resources).map((id) => id.replace(/_[0-9A-F]{8}$/, ""))).toEqual(["pve", "registry-vm"]);
});

test("a deferred host is shown with its reason, and nothing of it is sent anywhere", () => {
  expect(stack.output.deferred.value).toEqual({
    truenas: 'unreachable when the change was made ("No route to host" on 10.0.10.0/24)',
  });
  expect(JSON.stringify(stack.resource)).not.toContain("10.0.10.15");
});

test("a reason that looks like a template is shown as it is", () => {
  const hosts = reference.hosts.map((host) =>
    host.deferred === undefined ? host : { ...host, deferred: { reason: "until ${VAR} and %{ if x }" } },
  );
  expect(synth({ ...reference, hosts }).output.deferred.value).toEqual({ truenas: "until $${VAR} and %%{ if x }" });
});

test("what the plan shows of each host", () => {
  const shown = Object.values(resources).map(({ triggers_replace: { program, version, ...files } }) => files);
  expect(shown).toMatchSnapshot();
});

test("it needs no provider", () => {
  expect(stack.provider).toBeUndefined();
  expect(stack.terraform.required_providers).toBeUndefined();
});
