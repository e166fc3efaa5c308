import { SecretV1 } from "@cdktf/provider-kubernetes/lib/secret-v1";
import { type ITerraformDependable, TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import type { ClusterProbe } from "../site/monitoring";
import { Forgotten } from "./forgotten";

/** The keys of the Secret, and the environment variables that the program reads. */
export const USER = "REG_USER";
export const PASSWORD = "REG_PASS";

/** Props of ProgramCredentials. */
export interface ProgramCredentialsProps {
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
 * The credentials of a program, from ephemeral Terraform variables, written to a Secret through write-only attributes:
 * they are in no plan and no state. An existing Secret cannot be imported, because the provider would read its values
 * into both.
 *
 * https://developer.hashicorp.com/terraform/language/manage-sensitive-data/ephemeral
 */
export class ProgramCredentials extends Construct {
  readonly resource: SecretV1;

  constructor(scope: Construct, id: string, props: ProgramCredentialsProps) {
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

/** Props of credentialSecrets. */
export interface CredentialSecretsProps {
  readonly credentials: ClusterProbe["credentials"];
  /** Name of the CronJob. */
  readonly name: string;
  readonly namespace: string;
  readonly dependsOn: ITerraformDependable[];
  /**
   * A second Secret, for the account that pushes.
   * @default none
   */
  readonly push?: string;
}

/**
 * The Secrets of a program whose credentials come from variables. If the operator creates them, one that came from variables
 * before is only forgotten: it may be the same Secret, and the CronJob needs it.
 */
export const credentialSecrets = (scope: Construct, props: CredentialSecretsProps): SecretV1[] => {
  const { credentials, name, namespace, dependsOn, push } = props;
  if (credentials?.from === "existing-secret")
    new Forgotten(new Construct(scope, "Credentials"), "Resource", SecretV1.tfResourceType);
  if (credentials?.from !== "variables") return [];
  const { secret, revision } = credentials;
  const variables = name.replaceAll("-", "_");
  const made = [{ id: "Credentials", secret, variables }];
  if (push !== undefined) made.push({ id: "PushCredentials", secret: push, variables: `${variables}_push` });
  return made.map(
    ({ id, ...each }) => new ProgramCredentials(scope, id, { namespace, revision, dependsOn, ...each }).resource,
  );
};
