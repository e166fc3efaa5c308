import { TerraformResource } from "cdktf";
import type { Construct } from "constructs";

export type TerraformDataProps =
  | {
      /** A change to any value replaces the resource, which runs its provisioners again. The plan shows the values. */
      readonly triggersReplace: Readonly<Record<string, string>>;
    }
  | {
      /** A change is an update, to which another resource can react with `replaceTriggeredBy`. */
      readonly input: string | number;
    };

/**
 * The built-in resource terraform_data, which needs no provider. cdktf's own DataResource runs `terraform version` in
 * every synth, so a site could not be synthesized without Terraform; the required version is in the synthesized JSON,
 * and an older Terraform rejects it.
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
