import { TerraformElement, type TerraformResource } from "cdktf";

/**
 * Takes over an existing object in the first apply instead of creating it. cdktf's own importFrom runs `terraform version` in
 * every synth, so a site could not be synthesized without Terraform.
 *
 * https://developer.hashicorp.com/terraform/language/import
 */
export class ImportBlock extends TerraformElement {
  readonly #resource: TerraformResource;
  readonly #objectId: string;
  /**
   * @param resource the resource that the object becomes
   * @param objectId the object's id in the provider's terms, for Kubernetes `<namespace>/<name>`
   */
  constructor(resource: TerraformResource, objectId: string) {
    super(resource, "Import");
    this.#resource = resource;
    this.#objectId = objectId;
  }

  override toTerraform(): unknown {
    const { terraformResourceType, friendlyUniqueId } = this.#resource;
    return { import: [{ to: `${terraformResourceType}.${friendlyUniqueId}`, id: this.#objectId }] };
  }
}
