/**
 * A plan in Terraform's format, reduced to what a review needs.
 *
 * Source: https://developer.hashicorp.com/terraform/internals/json-format, format version 1
 */
export interface PlanJson {
  readonly format_version: string;
  readonly variables?: Readonly<Record<string, { readonly value?: unknown }>>;
  readonly resource_changes?: readonly ResourceChangeJson[];
  readonly resource_drift?: readonly ResourceChangeJson[];
  readonly output_changes?: Readonly<Record<string, ChangeJson>>;
  readonly configuration?: {
    readonly root_module?: {
      readonly variables?: Readonly<Record<string, { readonly sensitive?: boolean; readonly default?: unknown }>>;
      readonly resources?: readonly { readonly address: string; readonly expressions?: object }[];
    };
  };
  readonly prior_state?: { readonly values?: ValuesJson };
  readonly planned_values?: ValuesJson;
  readonly errored?: boolean;
}

/** Values of a state, or of the state that a plan would lead to. */
export interface ValuesJson {
  readonly root_module?: ModuleJson;
  readonly outputs?: Readonly<Record<string, { readonly sensitive?: boolean; readonly value?: unknown }>>;
}

export interface ModuleJson {
  readonly resources?: readonly { readonly values?: unknown; readonly sensitive_values?: unknown }[];
  readonly child_modules?: readonly ModuleJson[];
}

export interface ResourceChangeJson {
  readonly address: string;
  readonly previous_address?: string;
  /** "managed" or "data". */
  readonly mode: string;
  readonly type: string;
  readonly name: string;
  readonly change: ChangeJson;
  readonly action_reason?: string;
}

export interface ChangeJson {
  readonly actions: readonly string[];
  readonly before?: unknown;
  readonly after?: unknown;
  /** The structure of `after`, with true for values that are known only after the apply. */
  readonly after_unknown?: unknown;
  /** The structure of `before`, with true for sensitive values; true if everything is. */
  readonly before_sensitive?: unknown;
  readonly after_sensitive?: unknown;
  /** Attributes that cannot be changed in place. */
  readonly replace_paths?: readonly (readonly (string | number)[])[];
  readonly importing?: { readonly id?: string };
}

/** The input is not a plan, or not a folder with plans. */
export class PlanError extends Error {
  override readonly name = "PlanError";
  readonly code = "bad-input";

  constructor(
    message: string,
    /** What the operator can do about it. */
    readonly hint: string,
  ) {
    super(message);
  }
}

const refuse = (message: string): never => {
  throw new PlanError(message, 'write it with "terraform show -json plan"');
};

const isChange = (value: unknown): boolean => {
  const { address, type, change } = (value ?? {}) as Partial<ResourceChangeJson>;
  return typeof address === "string" && typeof type === "string" && Array.isArray(change?.actions);
};

/**
 * Reads the output of `terraform show -json <plan file>`.
 *
 * @param text one JSON document
 * @param name of the text, for the error
 * @throws PlanError if the text is not a plan of format version 1
 */
export const parsePlan = (text: string, name: string): PlanJson => {
  let plan: unknown;
  try {
    plan = JSON.parse(text);
  } catch {
    refuse(`${name} is no JSON`);
  }
  if (typeof plan !== "object" || plan === null || Array.isArray(plan)) return refuse(`${name} is no JSON object`);
  const {
    format_version: version,
    resource_changes: changes = [],
    resource_drift: drift = [],
  } = plan as Partial<PlanJson>;
  if (typeof version !== "string" || !/^1(\.|$)/.test(version))
    refuse(`${name} has the format version ${JSON.stringify(version) ?? "none"}, which is not 1`);
  // A state has the same version; only "values" distinguishes it from a plan.
  if ("values" in plan) refuse(`${name} is a state`);
  if (![changes, drift].every((list) => Array.isArray(list) && list.every(isChange)))
    refuse(`${name} holds a resource change without address, type or actions`);
  return plan as PlanJson;
};
