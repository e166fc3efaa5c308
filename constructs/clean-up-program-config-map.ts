import type { Construct } from "constructs";
import { ProgramConfigMap, type ProgramProps } from "./program-config-map";

/** The clean-up's program. */
export class CleanUpProgramConfigMap extends ProgramConfigMap {
  constructor(scope: Construct, id: string, props: ProgramProps) {
    super(scope, id, { ...props, prefix: "registry-clean-up-program", file: "clean-up.mjs" });
  }
}
