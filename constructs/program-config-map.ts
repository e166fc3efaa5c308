import { createHash } from "node:crypto";
import { ConfigMapV1 } from "@cdktf/provider-kubernetes/lib/config-map-v1";
import { type ITerraformDependable, TerraformLocal } from "cdktf";
import { Construct } from "constructs";
import { literal } from "./literal";

/** The common props of constructs that need a program in a cluster. */
export interface ProgramProps {
  readonly namespace: string;
  /** The text of the ES module. */
  readonly program: string;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/** Props of ProgramConfigMap. */
export interface ProgramConfigMapProps extends ProgramProps {
  /** Prefix of the ConfigMap's name. */
  readonly prefix: string;
  /** The key, and the file's name in the mounted ConfigMap. */
  readonly file: string;
}

/**
 * A program as an immutable ConfigMap that is named after its content: a running pod keeps the program that it was
 * started with, and a changed program is a new object that exists before the CronJobs refer to it.
 */
export class ProgramConfigMap extends Construct {
  /** Name of the ConfigMap. */
  readonly name: string;
  /** Name of the program's file in the mounted ConfigMap. */
  readonly file: string;
  readonly resource: ConfigMapV1;

  constructor(scope: Construct, id: string, { namespace, program, dependsOn, prefix, file }: ProgramConfigMapProps) {
    super(scope, id);
    this.name = `${prefix}-${createHash("sha256").update(program).digest("hex").slice(0, 12)}`;
    this.file = file;
    const text = new TerraformLocal(this, "Text", literal(program));
    this.resource = new ConfigMapV1(this, "Resource", {
      metadata: { name: this.name, namespace },
      // Not a secret, but this keeps Terraform from printing all of it in a plan; the name shows that it changed.
      data: { [file]: `\${sensitive(local.${text.friendlyUniqueId})}` },
      immutable: true,
      lifecycle: { createBeforeDestroy: true },
      dependsOn,
    });
  }
}
