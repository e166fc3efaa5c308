import * as fc from "fast-check";
import { fallbackTagOf, type SyntheticManifest } from "../lab/images";

/** A push, described by numbers, so that counterexamples are readable. */
export interface GeneratedPush {
  repository: string;
  form: number;
  n: number;
  tags: string[];
  /** The image that it refers to through a fallback tag. */
  refersTo: number | null;
}

/** What may be pushed: the n-th of each form. The first form is an image. */
type Forms = readonly [image: (n: number) => SyntheticManifest, ...others: ((n: number) => SyntheticManifest)[]];

/** Pushes of few images to few repositories, so that parts are shared and tags are moved. */
export class Pushes {
  readonly #forms: Forms;

  constructor(forms: Forms) {
    this.#forms = forms;
  }

  /** @param numbers how many there are of each form */
  arbitrary(repositories: readonly string[], tags: readonly string[], numbers: number) {
    const n = fc.nat(numbers - 1);
    return {
      repository: fc.constantFrom(...repositories),
      form: fc.nat(this.#forms.length - 1),
      n,
      tags: fc.uniqueArray(fc.constantFrom(...tags), { maxLength: 2 }),
      refersTo: fc.option(n, { freq: 3 }),
    };
  }

  manifest({ form, n }: Pick<GeneratedPush, "form" | "n">): SyntheticManifest {
    return (this.#forms[form] as Forms[0])(n);
  }

  tags({ tags, refersTo }: GeneratedPush): string[] {
    return refersTo === null ? tags : [...tags, fallbackTagOf(this.#forms[0](refersTo))];
  }
}
