import { isJsonObject } from "../text/json-object";
import type { ResourceChangeJson } from "./plan";

/** What happens to a resource, worst first, with its wording in a sentence. */
export const ACTIONS = {
  destroy: "destroy",
  replace: "replace",
  deliver: "deliver again",
  update: "update",
  create: "create",
  import: "import",
  move: "move",
  forget: "forget",
  read: "read",
} as const;

export type Action = keyof typeof ACTIONS;

const triggers = (values: unknown): unknown => (values as { triggers_replace?: unknown } | null)?.triggers_replace;

/**
 * Whether a resource is a delivery of files to a host. Terraform can only repeat the delivery by replacing the resource, which
 * destroys nothing on the host.
 *
 * https://developer.hashicorp.com/terraform/language/resources/terraform-data#triggers_replace
 */
export const isDelivery = ({ type, change }: ResourceChangeJson): boolean =>
  type === "terraform_data" &&
  [change.before, change.after].filter(isJsonObject).every((values) => isJsonObject(triggers(values)));

/** The action of a plan on a resource; undefined if there is none. */
export const actionOf = (resource: ResourceChangeJson): Action | undefined => {
  const { actions, importing } = resource.change;
  const has = (action: string): boolean => actions.includes(action);
  if (has("delete") && has("create")) return isDelivery(resource) ? "deliver" : "replace";
  if (has("delete")) return "destroy";
  if (has("update")) return "update";
  if (has("create")) return "create";
  if (has("forget")) return "forget";
  if (has("read")) return "read";
  if (importing !== undefined) return "import";
  return resource.previous_address === undefined ? undefined : "move";
};

/**
 * Terraform's reasons in words; for an attribute that cannot be changed in place, the attribute itself is more informative.
 *
 * Source: https://developer.hashicorp.com/terraform/internals/json-format, "action_reason"
 */
const REASONS: Readonly<Record<string, string>> = {
  replace_because_tainted: "what was begun before failed half-way",
  replace_by_request: "asked for with -replace",
  replace_by_triggers: "something that it follows changes",
  delete_because_no_resource_config: "no longer in the configuration",
  delete_because_no_module: "its module is no longer in the configuration",
  delete_because_wrong_repetition: "its count or for_each changed",
  delete_because_count_index: "its index is beyond the count",
  delete_because_each_key: "its key is no longer in for_each",
  delete_because_no_move_target: "what it was moved to is not in the configuration",
};

/** Why a resource is destroyed or replaced, if Terraform gives a reason other than an attribute. */
export const actionReason = ({ action_reason: reason = "" }: ResourceChangeJson): string | undefined => REASONS[reason];
