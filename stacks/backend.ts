import { TerraformBackend, type TerraformRemoteState, type TerraformStack } from "cdktf";
import type { Site } from "../site/schema";
import type { State } from "../site/state";

/** Write-only attributes came with 1.11. https://developer.hashicorp.com/terraform/language/manage-sensitive-data */
const REQUIRED_TERRAFORM = ">= 1.11";

/** Arguments of the backend block of one stack. A shared store holds one object a stack. */
const backendArguments = (state: State, stack: string): Record<string, unknown> => {
  switch (state.backend) {
    case "local":
      // Relative to cdktf.out/stacks/<stack>, where Terraform runs: the same on every machine, and outside cdktf.out.
      return { path: `../../../${state.directory}/${stack}.tfstate` };
    case "kubernetes":
      return { namespace: state.namespace, secret_suffix: stack };
    case "s3":
      return {
        bucket: state.bucket,
        region: state.region,
        key: `${stack}.tfstate`,
        use_lockfile: true,
        ...selfHosted(state.endpoint),
      };
    case "http": {
      const address = `${state.address.replace(/\/$/, "")}/${stack}`;
      return { address, lock_address: address, unlock_address: address };
    }
  }
};

/** A store that only speaks S3 has no account, no metadata service and no name for each bucket. */
const selfHosted = (endpoint: string | undefined) =>
  endpoint === undefined
    ? {}
    : {
        endpoints: { s3: endpoint },
        skip_credentials_validation: true,
        skip_metadata_api_check: true,
        skip_region_validation: true,
        skip_requesting_account_id: true,
        use_path_style: true,
      };

/** One backend for all four kinds, because cdktf lacks the Kubernetes one. */
class StateBackend extends TerraformBackend {
  constructor(
    private readonly stack: TerraformStack,
    private readonly state: State,
  ) {
    super(stack, "backend", state.backend);
  }

  protected override synthesizeAttributes(): Record<string, unknown> {
    return backendArguments(this.state, this.stack.node.id);
  }

  override getRemoteStateDataSource(): TerraformRemoteState {
    throw new Error(
      `stack ${this.stack.node.id} is referred to by another stack; allowed are values of the site: take it from there`,
    );
  }
}

/**
 * Says where the state of a stack is kept and which Terraform can plan it. Without it cdktf writes an absolute path of
 * this machine into the synthesised JSON.
 */
export const useBackend = (stack: TerraformStack, site: Site): void => {
  new StateBackend(stack, site.state);
  stack.addOverride("terraform.required_version", REQUIRED_TERRAFORM);
};
