import { TerraformBackend, type TerraformRemoteState, type TerraformStack } from "cdktf";
import { literal } from "../constructs/literal";
import type { Site } from "../site/schema";
import { stateKey } from "../site/stacks";

/** Write-only attributes require 1.11. https://developer.hashicorp.com/terraform/language/manage-sensitive-data */
const REQUIRED_TERRAFORM = ">= 1.11";

/** Arguments of a stack's backend block. A shared store has one object for each stack. */
const backendArguments = (site: Site, stack: string): Record<string, unknown> => {
  const { state } = site;
  const key = stateKey(site, stack);
  switch (state.backend) {
    case "local":
      // Relative to cdktf.out/stacks/<stack>, where Terraform runs: independent of the machine, and outside cdktf.out.
      return { path: `../../../${key}` };
    case "kubernetes":
      return { namespace: state.namespace, secret_suffix: key };
    case "s3":
      return {
        bucket: state.bucket,
        region: state.region,
        key,
        use_lockfile: state.lockfile,
        ...selfHosted(state.endpoint),
      };
    case "http":
      return { address: key, lock_address: key, unlock_address: key };
  }
};

/** An S3-compatible store has no accounts, metadata service or bucket host names, and few accept checksums in a trailer. */
const selfHosted = (endpoint: string | undefined) =>
  endpoint === undefined
    ? {}
    : {
        endpoints: { s3: endpoint },
        skip_credentials_validation: true,
        skip_metadata_api_check: true,
        skip_region_validation: true,
        skip_requesting_account_id: true,
        skip_s3_checksum: true,
        use_path_style: true,
      };

/** A backend evaluates nothing, and Terraform rejects anything that looks like an expression. */
const literalStrings = (value: unknown): unknown => {
  if (typeof value === "string") return literal(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, literalStrings(each)]));
};

/** One class for all four kinds, because cdktf has none for the Kubernetes backend. */
class StateBackend extends TerraformBackend {
  readonly #stack: TerraformStack;
  readonly #site: Site;
  constructor(stack: TerraformStack, site: Site) {
    super(stack, "backend", site.state.backend);
    this.#stack = stack;
    this.#site = site;
  }

  // biome-ignore lint/style/useConsistentMemberAccessibility: CDKTF declares it
  protected override synthesizeAttributes(): Record<string, unknown> {
    return literalStrings(backendArguments(this.#site, this.#stack.node.id)) as Record<string, unknown>;
  }

  override getRemoteStateDataSource(): TerraformRemoteState {
    throw new Error(`stack ${this.#stack.node.id} is referred to by another stack; take the value from the site`);
  }
}

/**
 * Sets where the state of a stack is stored and which Terraform versions can plan it. Without it, cdktf writes an
 * absolute path of this machine into the synthesized JSON.
 */
export const useBackend = (stack: TerraformStack, site: Site): void => {
  new StateBackend(stack, site);
  stack.addOverride("terraform.required_version", REQUIRED_TERRAFORM);
};
