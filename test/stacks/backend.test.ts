import { TerraformStack, Testing } from "cdktf";
import { useBackend } from "../../stacks/backend";
import { parsed, reference, referenceSite, type WholeInput } from "../sites";

const terraformOf = (state: WholeInput["state"]) => {
  const stack = new TerraformStack(Testing.app(), "dns");
  useBackend(stack, parsed({ ...reference, state }));
  return JSON.parse(Testing.synth(stack, true)).terraform;
};

test("a local state is beside cdktf.out, by a path that is the same on every machine", () => {
  expect(terraformOf({ backend: "local", directory: "state" })).toEqual({
    backend: { local: { path: "../../../state/reference/dns.tfstate" } },
    required_version: ">= 1.11",
  });
});

test.each<[WholeInput["state"], object]>([
  [
    { backend: "kubernetes", namespace: "terraform" },
    { kubernetes: { namespace: "terraform", secret_suffix: "reference-dns" } },
  ],
  [
    { backend: "s3", bucket: "states", region: "eu-west-1" },
    { s3: { bucket: "states", region: "eu-west-1", key: "reference/dns.tfstate", use_lockfile: true } },
  ],
  [
    { backend: "http", address: "https://state.example" },
    {
      http: {
        address: "https://state.example/reference/dns",
        lock_address: "https://state.example/reference/dns",
        unlock_address: "https://state.example/reference/dns",
      },
    },
  ],
])("a shared state has one object a stack: %j", (state, expected) => {
  expect(terraformOf(state).backend).toEqual(expected);
});

test("a self-hosted store that speaks S3 is not asked for what only Amazon has", () => {
  const { s3 } = terraformOf({
    backend: "s3",
    bucket: "states",
    region: "main",
    endpoint: "https://minio.example",
    keyPrefix: "terraform/home",
    lockfile: false,
  }).backend;
  expect(s3).toEqual({
    bucket: "states",
    region: "main",
    key: "terraform/home/reference/dns.tfstate",
    use_lockfile: false,
    endpoints: { s3: "https://minio.example" },
    use_path_style: true,
    skip_credentials_validation: true,
    skip_metadata_api_check: true,
    skip_region_validation: true,
    skip_requesting_account_id: true,
    skip_s3_checksum: true,
  });
});

test("fails where a stack refers to another one: stacks share the site, not their states", () => {
  const stack = new TerraformStack(Testing.app(), "dns");
  useBackend(stack, referenceSite);
  const [backend] = stack.node.children;
  expect(() =>
    (backend as { getRemoteStateDataSource(): unknown } & typeof backend)?.getRemoteStateDataSource(),
  ).toThrow("stack dns is referred to by another stack; take the value from the site");
});
