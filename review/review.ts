import { type Action, actionOf, actionReason, isDelivery } from "./action";
import { type AttributeChange, attributeChanges, markedStrings, pathText, type Shown, stringsOf } from "./attributes";
import type { ModuleJson, PlanJson, ResourceChangeJson, ValuesJson } from "./plan";
import { redactDeep, redactor } from "./redaction";

/** What happens to one resource. Everything taken from the plan is free of secrets. */
export interface ResourceReview {
  readonly address: string;
  /** Path of the construct, for example "dns/pve/Resource"; undefined if the synthesized output does not contain it. */
  readonly construct: string | undefined;
  readonly action: Action;
  /** Whether it is a delivery of files to a host. */
  readonly delivers: boolean;
  readonly reason: string | undefined;
  /** Paths of the attributes that cannot be changed in place. */
  readonly forcedBy: readonly string[];
  /** Its previous address. */
  readonly previousAddress: string | undefined;
  readonly importedId: string | undefined;
  /** What is left in place when the resource is removed, in words. */
  readonly kept: string | undefined;
  /** Whether the new one is created before the old one is destroyed. */
  readonly newFirst: boolean;
  readonly attributes: readonly AttributeChange[];
}

/** What happens to one stack. */
export interface StackReview {
  readonly stack: string;
  /** Why the synthesized output was compared with that of the merge base, without a state; undefined for a plan. */
  readonly compared: string | undefined;
  readonly changes: readonly ResourceReview[];
  /** What was changed outside Terraform. */
  readonly drift: readonly ResourceReview[];
  /** Outputs of the stack that change. */
  readonly outputs: readonly string[];
  /** Whether Terraform failed while planning. */
  readonly errored: boolean;
  /** Whether there is no state yet, so that everything is new. */
  readonly first: boolean;
  /** Hosts to which nothing is sent: name → reason. */
  readonly deferred: Readonly<Record<string, string>>;
}

/** Address without the keys of count and for_each → path of the construct. */
export type ConstructPaths = ReadonlyMap<string, string>;

/**
 * Which attributes are worth showing. What is known only after the apply says nothing about a new resource; for an
 * updated one it is shown only if the configuration sets it: the provider computes the others, for example the
 * `metadata` of a release with all of its values.
 *
 * @param configured the attributes that the configuration sets; undefined if that is unknown
 */
const worthShowing =
  (action: Action, configured: ReadonlySet<string> | undefined) =>
  ({ path: [attribute], after, forces }: AttributeChange): boolean => {
    if (action === "destroy" || action === "forget" || action === "read") return false;
    if (after.kind !== "unknown" || forces) return true;
    return action === "update" && (configured === undefined || configured.has(String(attribute)));
  };

/** Helm never deletes the namespace that it created for a release. */
const keptBy = ({ type, change: { before } }: ResourceChangeJson): string | undefined => {
  const { create_namespace: created, namespace } = (before ?? {}) as {
    create_namespace?: unknown;
    namespace?: unknown;
  };
  return type === "helm_release" && created === true && typeof namespace === "string"
    ? `the namespace ${namespace} stays, with everything in it`
    : undefined;
};

const forcedBy = ({ change }: ResourceChangeJson, attributes: readonly AttributeChange[]): string[] => {
  const changed = attributes.filter(({ forces }) => forces).map(({ path }) => pathText(path));
  return changed.length > 0 ? changed : (change.replace_paths ?? []).map(pathText);
};

const withoutKeys = (address: string): string => address.replace(/\[[^\]]*\]$/, "");

/** Name of the output; see stacks/dns-stack.ts. */
const DEFERRED = "deferred";

type Redact = (text: string) => string;

const redactShown = (shown: Shown, redact: Redact): Shown =>
  shown.kind === "value" ? { kind: "value", value: redactDeep(shown.value, redact) } : shown;

const redactAttribute = (attribute: AttributeChange, redact: Redact): AttributeChange => ({
  ...attribute,
  path: attribute.path.map((key) => (typeof key === "string" ? redact(key) : key)),
  before: redactShown(attribute.before, redact),
  after: redactShown(attribute.after, redact),
});

/** What is known about all resources of a stack. */
interface Context {
  readonly constructs: ConstructPaths;
  /** Address without keys → attributes that the configuration sets. */
  readonly configured: ReadonlyMap<string, ReadonlySet<string>>;
  readonly redact: Redact;
}

const reviewResource = (
  resource: ResourceChangeJson,
  action: Action,
  { constructs, configured, redact }: Context,
): ResourceReview => {
  const address = withoutKeys(resource.address);
  const attributes = attributeChanges(resource.change);
  const { importing, actions } = resource.change;
  const optional = (text: string | undefined): string | undefined => (text === undefined ? undefined : redact(text));
  return {
    address: redact(resource.address),
    construct: constructs.get(address),
    action,
    delivers: isDelivery(resource),
    reason: actionReason(resource),
    forcedBy: forcedBy(resource, attributes).map(redact),
    previousAddress: optional(resource.previous_address),
    importedId: optional(importing?.id),
    kept: optional(keptBy(resource)),
    newFirst: actions[0] === "create" && actions.length > 1,
    attributes: attributes
      .filter(worthShowing(action, configured.get(address)))
      .map((attribute) => redactAttribute(attribute, redact)),
  };
};

const isEmpty = ({ resources = [], child_modules: children = [] }: ModuleJson = {}): boolean =>
  resources.length === 0 && children.every(isEmpty);

/** Whether a plan was made without a state, so that everything is new. */
export const isFirst = (plan: PlanJson): boolean => isEmpty(plan.prior_state?.values?.root_module);

/** The hosts that are deferred according to the dns stack's output. */
const deferredHosts = (plan: PlanJson, redact: Redact): Record<string, string> => {
  const value = plan.planned_values?.outputs?.[DEFERRED]?.value;
  return Object.fromEntries(
    Object.entries(typeof value === "object" && value !== null ? value : {}).flatMap(([host, reason]) =>
      typeof reason === "string" ? [[redact(host), redact(reason)]] : [],
    ),
  );
};

const secretsOfModule = ({ resources = [], child_modules: children = [] }: ModuleJson): string[] => [
  ...resources.flatMap(({ values, sensitive_values: marks }) => markedStrings(values, marks)),
  ...children.flatMap(secretsOfModule),
];

const secretsOfValues = ({ root_module: module = {}, outputs = {} }: ValuesJson): string[] => [
  ...secretsOfModule(module),
  ...Object.values(outputs).flatMap(({ sensitive, value }) => (sensitive === true ? stringsOf(value) : [])),
];

/**
 * Every value that a plan marks as sensitive anywhere. Terraform loses the mark on the way, for example in the `output` of a
 * terraform_data, and shows the value there in plain text.
 */
const secretsOf = (plan: PlanJson): string[] => {
  const variables = plan.configuration?.root_module?.variables ?? {};
  const changes = [
    ...[...(plan.resource_changes ?? []), ...(plan.resource_drift ?? [])].map(({ change }) => change),
    ...Object.values(plan.output_changes ?? {}),
  ];
  return [
    ...Object.entries(variables).flatMap(([name, { sensitive, default: value }]) =>
      sensitive === true ? stringsOf([value, plan.variables?.[name]?.value]) : [],
    ),
    ...changes.flatMap((change) => [
      ...markedStrings(change.before, change.before_sensitive),
      ...markedStrings(change.after, change.after_sensitive),
    ]),
    ...secretsOfValues(plan.prior_state?.values ?? {}),
    ...secretsOfValues(plan.planned_values ?? {}),
  ];
};

/** The input for the review of one stack. */
export interface StackInput {
  readonly stack: string;
  readonly plan: PlanJson;
  readonly constructs: ConstructPaths;
  /** See StackReview. */
  readonly compared: string | undefined;
}

const reviewStack = ({ stack, plan, constructs, compared }: StackInput, redact: Redact): StackReview => {
  const configuration = plan.configuration?.root_module?.resources ?? [];
  const configured = new Map(
    configuration.map(({ address, expressions = {} }) => [address, new Set(Object.keys(expressions))] as const),
  );
  const resources = (list: readonly ResourceChangeJson[] = []): ResourceReview[] =>
    list.flatMap((resource) => {
      const action = actionOf(resource);
      return action === undefined ? [] : [reviewResource(resource, action, { constructs, configured, redact })];
    });
  return {
    stack,
    compared: compared === undefined ? undefined : redact(compared),
    changes: resources(plan.resource_changes),
    // After a creation the provider reads an empty map where there was nothing: that is not a change.
    drift: resources(plan.resource_drift).filter(
      ({ action, attributes }) => action !== "update" || attributes.length > 0,
    ),
    outputs: Object.entries(plan.output_changes ?? {})
      .filter(([, { actions }]) => !actions.includes("no-op"))
      .map(([name]) => redact(name)),
    errored: plan.errored === true,
    first: compared === undefined && isFirst(plan),
    deferred: deferredHosts(plan, redact),
  };
};

/**
 * Reviews the plans of the stacks. A value that is sensitive in one of them is hidden in all.
 *
 * @param secrets further values that must not be shown
 */
export const reviewStacks = (inputs: readonly StackInput[], secrets: readonly string[] = []): StackReview[] => {
  const redact = redactor([...secrets, ...inputs.flatMap(({ plan }) => secretsOf(plan))]);
  return inputs.map((input) => reviewStack(input, redact));
};
