import { TerraformResource } from "cdktf";
import type { Construct } from "constructs";

export type TerraformDataProps =
  | {
      /** A change of any value replaces the resource, which runs its provisioners again. The plan shows the values. */
      readonly triggersReplace: Readonly<Record<string, string>>;
    }
  | {
      /** A change of it is an update, which another resource can follow by `replaceTriggeredBy`. */
      readonly input: string | number;
    };

/**
 * The built-in resource terraform_data, which needs no provider. cdktf's own DataResource runs `terraform version` at
 * every synth, so that a site could not be synthesised where Terraform is not installed; the version that is needed
 * is in the synthesised JSON, and Terraform itself refuses to be an older one.
 *
 * https://developer.hashicorp.com/terraform/language/resources/terraform-data
 */
export class TerraformData extends TerraformResource {
  readonly #props: TerraformDataProps;
  constructor(scope: Construct, id: string, props: TerraformDataProps) {
    super(scope, id, {
      terraformResourceType: "terraform_data",
      terraformGeneratorMetadata: { providerName: "terraform" },
    });
    this.#props = props;
  }

  // biome-ignore lint/style/useConsistentMemberAccessibility: CDKTF declares it
  protected override synthesizeAttributes(): Record<string, unknown> {
    return "input" in this.#props ? { input: this.#props.input } : { triggers_replace: this.#props.triggersReplace };
  }
}
