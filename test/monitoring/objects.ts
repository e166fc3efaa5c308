import { objectsOf as objectsWithoutSecrets } from "../../constructs/kubernetes-objects";
import type { Json } from "./synthesise";

/** A Kubernetes object in the form of the API, whose fields are accessed by path. */
export interface AnyKubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: Json;
}

/** The Secrets with values from variables: given here, because the stack does not contain the values. */
const secrets = (stack: Json, variables: Readonly<Record<string, string>>): AnyKubernetesObject[] =>
  (Object.values(stack.resource.kubernetes_secret_v1 ?? {}) as Json[]).map(({ metadata, type, data_wo }) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata,
    type,
    data: Object.fromEntries(
      (Object.entries(data_wo) as [string, string][]).map(([key, reference]) => {
        const name = /^\$\{var\.(\w+)\}$/.exec(reference)?.[1];
        if (name === undefined || variables[name] === undefined)
          throw new Error(`no variable for ${key}: ${reference}`);
        return [key, Buffer.from(variables[name]).toString("base64")];
      }),
    ),
  }));

/**
 * The objects that Terraform's providers would create for a synthesized stack, in a valid order of creation.
 *
 * @param variables values of the stack's Terraform variables; default: none
 */
export const allObjectsOf = (stack: Json, variables: Readonly<Record<string, string>> = {}): AnyKubernetesObject[] => {
  const [namespaces, others] = [true, false].map((wanted) =>
    (objectsWithoutSecrets(stack) as AnyKubernetesObject[]).filter(({ kind }) => (kind === "Namespace") === wanted),
  );
  return [...(namespaces ?? []), ...secrets(stack, variables), ...(others ?? [])];
};

/** The only object of a kind. */
export const onlyOf = (objects: readonly AnyKubernetesObject[], kind: string): AnyKubernetesObject => {
  const [found, ...others] = objects.filter((each) => each.kind === kind);
  if (found === undefined || others.length > 0)
    throw new Error(`${kind}: found ${found ? others.length + 1 : 0}, not one`);
  return found;
};
