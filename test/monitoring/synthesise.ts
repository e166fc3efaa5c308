import { Testing } from "cdktf";
import type { ClusterSite } from "../../site/schema";
import { MonitoringStack } from "../../stacks/monitoring-stack";
import { parsed, reference, small, type WholeInput, type WholeSite } from "../sites";

export const SITES: Record<"reference" | "small", WholeInput> = { reference, small };

// biome-ignore lint/suspicious/noExplicitAny: synthesised JSON is looked into by path
export type Json = any;

/** The program in the tests: bundling the real one is tested separately. It contains text that Terraform would evaluate. */
export const PROGRAM = 'console.log(`probe ${1 + 1} %{ "quoted" }`);\n';

/** A site of the product, with changes for a test. */
export const site = (name: keyof typeof SITES, bend: (input: Json) => void = () => {}): WholeSite => {
  const input = structuredClone(SITES[name]);
  bend(input);
  return parsed(input);
};

/** The stack's JSON, after all validations. */
export const synthesise = (given: ClusterSite): Json => {
  const programs = { program: PROGRAM, cleanUpProgram: PROGRAM };
  const stack = new MonitoringStack(Testing.app(), "monitoring", { site: given, ...programs });
  return JSON.parse(Testing.synth(stack, true));
};

/** The only resource of a type. */
export const only = (stack: Json, type: string): Json => {
  const resources = Object.values(stack.resource[type] ?? {});
  expect(resources).toHaveLength(1);
  return resources[0];
};
