import { TerraformElement, type TerraformResource } from "cdktf";

/**
 * Takes over an object that exists already, at the first apply, instead of creating it. cdktf's own importFrom runs
 * `terraform version` at every synth, so that a site could not be synthesised where Terraform is not installed.
 *
 * https://developer.hashicorp.com/terraform/language/import
 */
export class ImportBlock extends TerraformElement {
  readonly #resource: TerraformResource;
  readonly #objectId: string;
  /**
   * @param resource what the object becomes
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
