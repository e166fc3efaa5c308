import type { Construct } from "constructs";
import { ProgramConfigMap, type ProgramProps } from "./program-config-map";

/** The probe's program. */
export class ProbeProgramConfigMap extends ProgramConfigMap {
  /** The key, and the file's name in the mounted ConfigMap. */
  static readonly FILE = "probe.mjs";

  constructor(scope: Construct, id: string, props: ProgramProps) {
    super(scope, id, { ...props, prefix: "registry-probe-program", file: ProbeProgramConfigMap.FILE });
  }
}
