import { TerraformElement } from "cdktf";
import type { Construct } from "constructs";

/**
 * Takes a resource's place and makes Terraform forget the object instead of deleting it. If the state does not contain the
 * resource, it does nothing. `terraform destroy` ignores it, so it must be applied before.
 *
 * https://developer.hashicorp.com/terraform/language/block/removed
 */
export class Forgotten extends TerraformElement {
  readonly #type: string;
  /**
   * @param scope the scope that the resource had
   * @param id the id that it had there
   * @param type Terraform's type of it, for example "kubernetes_secret_v1"
   */
  constructor(scope: Construct, id: string, type: string) {
    super(scope, id);
    this.#type = type;
  }

  override toTerraform(): unknown {
    return { removed: [{ from: `${this.#type}.${this.friendlyUniqueId}`, lifecycle: { destroy: false } }] };
  }
}
