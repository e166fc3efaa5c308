import type { Construct } from "constructs";
import { ProgramConfigMap, type ProgramProps } from "./program-config-map";

/** The program of the clean-up. */
export class CleanUpProgramConfigMap extends ProgramConfigMap {
  constructor(scope: Construct, id: string, props: ProgramProps) {
    super(scope, id, { ...props, prefix: "registry-clean-up-program", file: "clean-up.mjs" });
  }
}
