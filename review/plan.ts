/**
 * A plan as Terraform describes it, of which only what a reader needs is named here.
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
    };
  };
  readonly prior_state?: { readonly values?: ValuesJson };
  readonly planned_values?: ValuesJson;
  readonly errored?: boolean;
}

/** Values of a state, or of what a plan would make of it. */
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
  /** The shape of `after`, with true where the value is known only once it is applied. */
  readonly after_unknown?: unknown;
  /** The shape of `before`, with true where a value is sensitive; true for all of it. */
  readonly before_sensitive?: unknown;
  readonly after_sensitive?: unknown;
  /** Attributes that cannot be changed in place. */
  readonly replace_paths?: readonly (readonly (string | number)[])[];
  readonly importing?: { readonly id?: string };
}

const CURE = 'write it with "terraform show -json plan"';

const isChange = (value: unknown): boolean => {
  const { address, type, change } = (value ?? {}) as Partial<ResourceChangeJson>;
  return typeof address === "string" && typeof type === "string" && Array.isArray(change?.actions);
};

/**
 * Reads the output of `terraform show -json <plan file>`.
 *
 * @param text one JSON document
 * @param name what the text is, for the error
 * @throws Error where the text is no plan of format version 1
 */
export const parsePlan = (text: string, name: string): PlanJson => {
  let plan: unknown;
  try {
    plan = JSON.parse(text);
  } catch {
    throw new Error(`${name} is no JSON; allowed is a plan: ${CURE}`);
  }
  if (typeof plan !== "object" || plan === null || Array.isArray(plan))
    throw new Error(`${name} is no JSON object; allowed is a plan: ${CURE}`);
  const {
    format_version: version,
    resource_changes: changes = [],
    resource_drift: drift = [],
  } = plan as Partial<PlanJson>;
  if (typeof version !== "string" || !/^1(\.|$)/.test(version))
    throw new Error(
      `${name} has the format version ${JSON.stringify(version) ?? "none"}; allowed is a plan of version 1: ${CURE}`,
    );
  // A state has the same version; "values" is what tells it from a plan.
  if ("values" in plan) throw new Error(`${name} is a state; allowed is a plan: ${CURE}`);
  if (![changes, drift].every((list) => Array.isArray(list) && list.every(isChange)))
    throw new Error(`${name} holds a resource change without address, type or actions; allowed is a plan: ${CURE}`);
  return plan as PlanJson;
};
