import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SynthesisedStack } from "./comparison";
import { PlanError } from "./plan";

/** One stack of a synthesized app. */
export interface OutputStack {
  readonly stack: string;
  /** Folder of its JSON, in which Terraform runs. */
  readonly directory: string;
  readonly synthesised: SynthesisedStack;
}

interface AssemblyManifest {
  readonly stacks: Readonly<
    Record<
      string,
      {
        readonly synthesizedStackPath: string;
        readonly workingDirectory: string;
        readonly dependencies: readonly string[];
      }
    >
  >;
}

/** A name becomes part of a command that the reader copies. */
const STACK = /^[A-Za-z0-9_][\w.-]*$/;

const readJson = (file: string, hint: string): unknown => {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "no JSON";
    throw new PlanError(`${file} cannot be read (${why})`, hint);
  }
};

/** The stacks in the order of deployment: each after its dependencies. */
const deployOrder = ({ stacks }: AssemblyManifest): string[] => {
  const seen = new Set<string>();
  const withDependencies = (stack: string): string[] => {
    if (seen.has(stack) || stacks[stack] === undefined) return [];
    seen.add(stack);
    return [...stacks[stack].dependencies.flatMap(withDependencies), stack];
  };
  return Object.keys(stacks).flatMap(withDependencies);
};

/**
 * Reads what an app has synthesized.
 *
 * @param directory the path of cdktf.out
 * @throws PlanError if there is none
 */
export const readOutput = (directory: string): OutputStack[] => {
  const hint = 'synthesise it with "npm run synth"';
  const manifest = readJson(join(directory, "manifest.json"), hint) as AssemblyManifest;
  if (typeof manifest?.stacks !== "object" || manifest.stacks === null)
    throw new PlanError(`${join(directory, "manifest.json")} names no stacks`, hint);
  return deployOrder(manifest).map((stack) => {
    const entry = manifest.stacks[stack];
    if (!STACK.test(stack) || entry === undefined)
      throw new PlanError(`the stack ${JSON.stringify(stack)} has no name of letters, digits, "_", "." and "-"`, hint);
    return {
      stack,
      directory: join(directory, entry.workingDirectory),
      synthesised: readJson(join(directory, entry.synthesizedStackPath), hint) as SynthesisedStack,
    };
  });
};
