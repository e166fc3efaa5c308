import type { Credentials } from "../oci/credentials";

const LARGEST = 1_000_000;

/** Reads variables one by one and collects every error, so that all are reported together. */
export class Variables<Variable extends string> {
  readonly #environment: NodeJS.ProcessEnv;
  readonly errors: string[] = [];

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** An empty variable counts as unset. */
  text(name: Variable): string | null {
    return this.#environment[name] || null;
  }

  required(name: Variable): string {
    const value = this.text(name);
    if (value === null) this.errors.push(`${name} is not set`);
    return value ?? "";
  }

  number(name: Variable, fallback: number, least: number, isWhole = true): number {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = Number(text);
    if ((!isWhole || Number.isInteger(value)) && value >= least && value <= LARGEST) return value;
    const numbers = isWhole ? "whole numbers" : "numbers";
    this.errors.push(`${name} is ${JSON.stringify(text)}, allowed are ${numbers} from ${least} to ${LARGEST}`);
    return fallback;
  }

  /** The names in a comma-separated list. */
  list(name: Variable, is: (text: unknown) => text is string, what: string): string[] {
    const names = (this.text(name) ?? "").split(",").flatMap((each) => each.trim() || []);
    for (const each of names) {
      if (!is(each)) this.errors.push(`${name} has ${JSON.stringify(each)}, which is no ${what}`);
    }
    return names;
  }

  oneOf<T extends string>(name: Variable, allowed: readonly T[], fallback: T): T {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = allowed.find((each) => each === text);
    if (value === undefined) {
      this.errors.push(`${name} is ${JSON.stringify(text)}, allowed are ${allowed.join(", ")}`);
    }
    return value ?? fallback;
  }

  /** A user name and its password; null if neither is set. */
  account(user: Variable, pass: Variable): Credentials | null {
    const [username, password] = [this.text(user), this.text(pass)];
    if (username !== null && password !== null) return { kind: "password", username, password };
    if (username !== null || password !== null)
      this.errors.push(`${username === null ? user : pass} is not set and the other one is`);
    return null;
  }

  parsed<T>(name: Variable, parse: (text: string) => T): T | null {
    const text = this.required(name);
    if (text === "") return null;
    try {
      return parse(text);
    } catch (error) {
      this.errors.push(`${name}: ${(error as Error).message}`);
      return null;
    }
  }
}

/** @throws Error if the text is not the base URL of a Pushgateway */
export const parsePushgateway = (text: string): URL => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new Error(`${JSON.stringify(text)} is not an http or https url`);
  }
  return url;
};
