import { createHash } from "node:crypto";
import { ConfigMapV1 } from "@cdktf/provider-kubernetes/lib/config-map-v1";
import { type ITerraformDependable, TerraformLocal } from "cdktf";
import { Construct } from "constructs";
import { literal } from "./literal";

/** Props of ProbeProgramConfigMap. */
export interface ProbeProgramConfigMapProps {
  readonly namespace: string;
  /** The text of the ES module. */
  readonly program: string;
  /**
   * What has to exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/**
 * The probe's program as an immutable ConfigMap that is named by its content: a pod that runs keeps the program that it
 * was started with, and a changed program is a new object that exists before the CronJobs refer to it.
 */
export class ProbeProgramConfigMap extends Construct {
  /** The key, and the file's name where the ConfigMap is mounted. */
  static readonly FILE = "probe.mjs";

  /** Name of the ConfigMap. */
  readonly name: string;
  readonly resource: ConfigMapV1;

  constructor(scope: Construct, id: string, { namespace, program, dependsOn }: ProbeProgramConfigMapProps) {
    super(scope, id);
    this.name = `registry-probe-program-${createHash("sha256").update(program).digest("hex").slice(0, 12)}`;
    const text = new TerraformLocal(this, "Text", literal(program));
    this.resource = new ConfigMapV1(this, "Resource", {
      metadata: { name: this.name, namespace },
      // No secret, but so that Terraform does not print all of it before it asks: the name tells one from another.
      data: { [ProbeProgramConfigMap.FILE]: `\${sensitive(local.${text.friendlyUniqueId})}` },
      immutable: true,
      lifecycle: { createBeforeDestroy: true },
      dependsOn,
    });
  }
}
