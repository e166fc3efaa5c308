import { TerraformStack, Testing } from "cdktf";
import { RegistryCompose } from "../../constructs/registry-compose";
import { referenceSite } from "../sites";

test("the registries go to the host that the site names, in one delivery", () => {
  const stack = new TerraformStack(Testing.app(), "registry-vm");
  new RegistryCompose(stack, "compose", { site: referenceSite });
  const resources = Object.values(JSON.parse(Testing.synth(stack, true)).resource.terraform_data);
  expect(resources).toHaveLength(1);
  expect(resources[0]).toMatchObject({ connection: { host: "10.0.20.10" } });
});
