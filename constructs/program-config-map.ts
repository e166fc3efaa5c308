import { createHash } from "node:crypto";
import { ConfigMapV1 } from "@cdktf/provider-kubernetes/lib/config-map-v1";
import { type ITerraformDependable, TerraformLocal } from "cdktf";
import { Construct } from "constructs";
import { literal } from "./literal";

/** What a construct that needs a program in a cluster says about it. */
export interface ProgramProps {
  readonly namespace: string;
  /** The text of the ES module. */
  readonly program: string;
  /**
   * What has to exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/** Props of ProgramConfigMap. */
export interface ProgramConfigMapProps extends ProgramProps {
  /** What the name of the ConfigMap begins with. */
  readonly prefix: string;
  /** The key, and the file's name where the ConfigMap is mounted. */
  readonly file: string;
}

/**
 * A program as an immutable ConfigMap that is named by its content: a pod that runs keeps the program that it was started
 * with, and a changed program is a new object that exists before the CronJobs refer to it.
 */
export class ProgramConfigMap extends Construct {
  /** Name of the ConfigMap. */
  readonly name: string;
  /** Name of the program's file where it is mounted. */
  readonly file: string;
  readonly resource: ConfigMapV1;

  constructor(scope: Construct, id: string, { namespace, program, dependsOn, prefix, file }: ProgramConfigMapProps) {
    super(scope, id);
    this.name = `${prefix}-${createHash("sha256").update(program).digest("hex").slice(0, 12)}`;
    this.file = file;
    const text = new TerraformLocal(this, "Text", literal(program));
    this.resource = new ConfigMapV1(this, "Resource", {
      metadata: { name: this.name, namespace },
      // No secret, but so that Terraform does not print all of it before it asks: the name tells one from another.
      data: { [file]: `\${sensitive(local.${text.friendlyUniqueId})}` },
      immutable: true,
      lifecycle: { createBeforeDestroy: true },
      dependsOn,
    });
  }
}
