import { compareStacks, constructPaths, type SynthesisedStack } from "../../review/comparison";
import { reviewStacks, type StackReview } from "../../review/review";

const delivery = (content: string, more: Record<string, unknown> = {}) => ({
  "//": { metadata: { path: "dns/pve/Resource", uniqueId: "pve_1" } },
  triggers_replace: { "/etc/resolv.conf": content },
  ...more,
});

const stack = (resources: SynthesisedStack["resource"], more: Record<string, unknown> = {}): SynthesisedStack => ({
  "//": { metadata: { version: "0.21.0" } },
  resource: resources,
  ...more,
});

const review = (before: SynthesisedStack | undefined, after: SynthesisedStack | undefined): StackReview => {
  const input = { stack: "dns", plan: compareStacks(before, after), constructs: constructPaths(after ?? {}) };
  const [reviewed] = reviewStacks([{ ...input, compared: "no state" }]);
  if (reviewed === undefined) throw new Error("nothing was reviewed");
  return reviewed;
};

const actions = (before: SynthesisedStack | undefined, after: SynthesisedStack | undefined) =>
  review(before, after).changes.map(({ action, address, construct }) => [action, address, construct]);

test("the same output is no change, whatever its metadata", () => {
  const before = stack({ terraform_data: { pve: delivery("a\n") } });
  const after = stack({ terraform_data: { pve: { ...delivery("a\n"), "//": { metadata: { path: "elsewhere" } } } } });
  expect(actions(before, after)).toEqual([]);
});

test("new, gone, and updated resources, and other blocks", () => {
  const before = stack({ config_map: { a: { name: "a" }, b: { name: "b" } } }, { provider: { x: [{ version: "1" }] } });
  const after = stack({ config_map: { b: { name: "c" }, d: { name: "d" } } }, { provider: { x: [{ version: "2" }] } });
  expect(actions(before, after)).toEqual([
    ["update", "config_map.b", undefined],
    ["create", "config_map.d", undefined],
    ["update", "provider", undefined],
    ["destroy", "config_map.a", undefined],
  ]);
});

test("changed files are delivered again, and a changed script alone is an update", () => {
  const before = stack({ terraform_data: { pve: delivery("a\n") } });
  expect(actions(before, stack({ terraform_data: { pve: delivery("b\n") } }))).toEqual([
    ["deliver", "terraform_data.pve", "dns/pve/Resource"],
  ]);
  expect(actions(before, stack({ terraform_data: { pve: delivery("a\n", { provisioner: [] }) } }))).toEqual([]);
  expect(actions(before, stack({ terraform_data: { pve: delivery("a\n", { input: "x" }) } }))).toEqual([
    ["update", "terraform_data.pve", "dns/pve/Resource"],
  ]);
});

test("a Kubernetes object with another name is replaced, with another label it is not", () => {
  const object = (name: string, label: string) =>
    stack({ kubernetes_config_map_v1: { program: { metadata: { name, labels: { label } } } } });
  expect(actions(object("program-1", "a"), object("program-2", "a"))).toEqual([
    ["replace", "kubernetes_config_map_v1.program", undefined],
  ]);
  expect(review(object("program-1", "a"), object("program-2", "a")).changes[0]?.forcedBy).toEqual(["metadata.name"]);
  expect(actions(object("program-1", "a"), object("program-1", "b"))).toEqual([
    ["update", "kubernetes_config_map_v1.program", undefined],
  ]);
});

test("a new stack and one that is gone", () => {
  const only = stack({ terraform_data: { pve: delivery("a\n") } });
  expect(actions(undefined, only)).toEqual([["create", "terraform_data.pve", "dns/pve/Resource"]]);
  expect(actions(only, undefined)).toEqual([["destroy", "terraform_data.pve", undefined]]);
});

test("a literal is shown as Terraform will write it", () => {
  const plan = compareStacks(undefined, stack({ terraform_data: { pve: delivery("a $${b} %%{c} ${d}\n") } }));
  expect(plan.resource_changes?.[0]?.change.after).toMatchObject({
    triggers_replace: { "/etc/resolv.conf": "a ${b} %{c} ${d}\n" },
  });
});

test("hosts that are deferred are taken from the output", () => {
  const after = stack({}, { output: { deferred: { value: { nas: "it is $${off}" } } } });
  expect(review(undefined, after).deferred).toEqual({ nas: "it is ${off}" });
});

test("the default of a sensitive variable is a secret, also the old one", () => {
  const variable = (value: string) => ({ variable: { token: { sensitive: true, default: value } } });
  const before = stack({ config_map: { a: { text: "old-token-1" } } }, variable("old-token-1"));
  const after = stack({ config_map: { a: { text: "new-token-2" } } }, variable("new-token-2"));
  expect(JSON.stringify(review(before, after))).not.toMatch(/(old|new)-token/);
});
