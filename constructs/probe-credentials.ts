import { SecretV1 } from "@cdktf/provider-kubernetes/lib/secret-v1";
import { type ITerraformDependable, TerraformVariable } from "cdktf";
import { Construct } from "constructs";

/** The keys of the Secret, and the environment variables that the probe reads. */
export const USER = "REG_USER";
export const PASSWORD = "REG_PASS";

/** Props of ProbeCredentials. */
export interface ProbeCredentialsProps {
  readonly namespace: string;
  /** Name of the Secret. */
  readonly secret: string;
  /** Prefix of the Terraform variables: `<variables>_username` and `<variables>_password`. */
  readonly variables: string;
  /** Raising this number sends the values again: Terraform does not know the old ones. */
  readonly revision: number;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/**
 * The credentials of a probe, from ephemeral Terraform variables, written to a Secret through write-only attributes: they are in no
 * plan and no state. An existing Secret cannot be imported, because the provider would read its values into both.
 *
 * https://developer.hashicorp.com/terraform/language/manage-sensitive-data/ephemeral
 */
export class ProbeCredentials extends Construct {
  readonly resource: SecretV1;

  constructor(scope: Construct, id: string, props: ProbeCredentialsProps) {
    super(scope, id);
    const { namespace, secret, variables, revision, dependsOn } = props;
    this.resource = new SecretV1(this, "Resource", {
      metadata: { name: secret, namespace },
      type: "Opaque",
      dataWo: {
        [USER]: this.#variable("Username", `${variables}_username`),
        [PASSWORD]: this.#variable("Password", `${variables}_password`),
      },
      dataWoRevision: revision,
      dependsOn,
    });
  }

  #variable(id: string, name: string): string {
    const variable = new TerraformVariable(this, id, { type: "string", sensitive: true, nullable: false });
    variable.overrideLogicalId(name);
    variable.addOverride("ephemeral", true);
    return variable.stringValue;
  }
}
