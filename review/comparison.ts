import { isEqual } from "./attributes";
import type { ChangeJson, PlanJson, ResourceChangeJson, ValuesJson } from "./plan";
import type { ConstructPaths } from "./review";

/** A synthesized stack: Terraform's JSON configuration with CDKTF's metadata under "//". */
export interface SynthesisedStack {
  readonly resource?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly variable?: Readonly<Record<string, { readonly sensitive?: boolean; readonly default?: unknown }>>;
  readonly [block: string]: unknown;
}

const METADATA = "//";

/** Terraform's own arguments of a resource, which are not attributes: changing only these changes nothing. */
const META_ARGUMENTS = ["provisioner", "connection", "lifecycle", "depends_on"];

const without = (keys: readonly string[], block: unknown): unknown => {
  if (typeof block !== "object" || block === null || Array.isArray(block)) return block;
  return Object.fromEntries(Object.entries(block).filter(([key]) => !keys.includes(key)));
};

/** What Terraform evaluates a literal text to: without the escapes of its template language. */
const unescaped = (value: unknown): unknown => {
  if (typeof value === "string") return value.replace(/([$%])\1\{/g, "$1{");
  if (Array.isArray(value)) return value.map(unescaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [unescaped(key) as string, unescaped(inner)]));
};

interface TerraformBlock {
  readonly address: string;
  readonly type: string;
  readonly body: unknown;
}

/** The resources, and every other block as a whole: a provider's version or a new variable is a change too. */
const blocks = (stack: SynthesisedStack): TerraformBlock[] =>
  Object.entries(stack).flatMap(([kind, content]): TerraformBlock[] => {
    if (kind === METADATA) return [];
    if (kind !== "resource") return [{ address: kind, type: kind, body: unescaped(without([METADATA], content)) }];
    return Object.entries(stack.resource ?? {}).flatMap(([type, instances]) =>
      Object.entries(instances).map(([name, body]) => ({
        address: `${type}.${name}`,
        type,
        body: unescaped(without([METADATA, ...META_ARGUMENTS], body)),
      })),
    );
  });

/** Attributes that certainly force a replacement: files are delivered again, and a renamed object is a new one. */
const REPLACING: readonly { readonly type: RegExp; readonly path: readonly string[] }[] = [
  { type: /^terraform_data$/, path: ["triggers_replace"] },
  { type: /^kubernetes_/, path: ["metadata", "name"] },
];

const valueAt = (block: TerraformBlock, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], block.body);

/** What a plan would say about a block, as far as that is known without a state. */
const changeOf = (before: TerraformBlock | undefined, after: TerraformBlock | undefined): ChangeJson | undefined => {
  if (before === undefined) return { actions: ["create"], before: null, after: after?.body };
  if (after === undefined) return { actions: ["delete"], before: before.body, after: null };
  if (isEqual(before.body, after.body)) return undefined;
  const replaced = REPLACING.filter(
    ({ type, path }) => type.test(after.type) && !isEqual(valueAt(before, path), valueAt(after, path)),
  ).map(({ path }) => path);
  return {
    actions: replaced.length > 0 ? ["delete", "create"] : ["update"],
    before: before.body,
    after: after.body,
    replace_paths: replaced,
  };
};

/**
 * Compares two synthesized stacks in the form of a plan. It cannot contain what depends on the state: whether Terraform replaces
 * more than necessary, what was changed outside it, and what is known after the apply.
 *
 * @param before from the merge base; undefined for a new stack
 * @param after undefined for a removed stack
 */
export const compareStacks = (before: SynthesisedStack | undefined, after: SynthesisedStack | undefined): PlanJson => {
  const old = new Map(blocks(before ?? {}).map((block) => [block.address, block]));
  const now = new Map(blocks(after ?? {}).map((block) => [block.address, block]));
  const changes = [...new Set([...now.keys(), ...old.keys()])].flatMap((address): ResourceChangeJson[] => {
    const change = changeOf(old.get(address), now.get(address));
    const type = (now.get(address) ?? old.get(address))?.type ?? address;
    return change === undefined ? [] : [{ address, mode: "managed", type, name: address, change }];
  });
  return {
    format_version: "1.2",
    resource_changes: changes,
    planned_values: { outputs: unescaped(after?.output ?? {}) as NonNullable<ValuesJson["outputs"]> },
    // The default of a sensitive variable is a secret on both sides.
    configuration: { root_module: { variables: { ...before?.variable, ...after?.variable } } },
    variables: Object.fromEntries(
      Object.entries(before?.variable ?? {}).map(([name, variable]) => [name, { value: variable.default }]),
    ),
  };
};

/** The paths of the constructs in a synthesized stack, by Terraform's addresses. */
export const constructPaths = (stack: SynthesisedStack): ConstructPaths =>
  new Map(
    Object.entries(stack.resource ?? {}).flatMap(([type, instances]) =>
      Object.entries(instances).flatMap(([name, body]): [string, string][] => {
        const path = (body as { [METADATA]?: { metadata?: { path?: unknown } } } | null)?.[METADATA]?.metadata?.path;
        return typeof path === "string" ? [[`${type}.${name}`, path]] : [];
      }),
    ),
  );
