import { compareText } from "../../text/compare-text";
import type { Digest } from "../oci/digest";

/** How an object is reached from a tag: the manifest that names it and the platform it is for. */
export interface Way {
  parent: Digest | null;
  platform: string | null;
}

/** A path with the tag it starts from; empty if no tag leads to the object. */
interface TaggedWay extends Way {
  tag: string;
}

const NO_WAY: Way = { parent: null, platform: null };

/** Which tags lead to an object, and along which path, given the references that were added. */
export class Reach {
  readonly #tags = new Map<Digest, string[]>();
  readonly #references = new Map<Digest, { parent: Digest; platform: string | null }[]>();
  #ways: Map<Digest, TaggedWay> | undefined;

  tag(tag: string, digest: Digest): void {
    append(this.#tags, digest, tag);
  }

  refer(parent: Digest, digest: Digest, platform: string | null): void {
    append(this.#references, digest, { parent, platform });
  }

  tagged(): Iterable<Digest> {
    return this.#tags.keys();
  }

  /** Every tag that leads to the digest, in ascending order. */
  tagsTo(digest: Digest): string[] {
    const found = new Set<string>();
    const seen = new Set<Digest>();
    const pending = [digest];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      for (const tag of this.#tags.get(next) ?? []) found.add(tag);
      for (const { parent } of this.#references.get(next) ?? []) pending.push(parent);
    }
    return [...found].sort();
  }

  /**
   * The shortest path from a tag, or from an index that no tag leads to; among equally short ones that from the lowest tag,
   * then by the lowest parent. To be called after all references were added.
   */
  wayTo(digest: Digest): Way {
    this.#ways ??= this.#findWays();
    const { parent, platform } = this.#ways.get(digest) ?? NO_WAY;
    return { parent, platform };
  }

  #findWays(): Map<Digest, TaggedWay> {
    const children = new Map<Digest, { child: Digest; platform: string | null }[]>();
    for (const [child, references] of this.#references) {
      for (const { parent, platform } of references) append(children, parent, { child, platform });
    }
    const untagged = [...children.keys()].filter((digest) => !this.#references.has(digest) && !this.#tags.has(digest));
    const ways = new Map<Digest, TaggedWay>();
    for (const starts of [[...this.#tags.keys()], untagged]) {
      let level = new Map(starts.map((digest) => [digest, { ...NO_WAY, tag: lowest(this.#tags.get(digest)) }]));
      while (level.size > 0) {
        for (const [digest, way] of level) ways.set(digest, way);
        const next = new Map<Digest, TaggedWay>();
        for (const [parent, way] of level) {
          for (const { child, platform } of children.get(parent) ?? []) {
            if (ways.has(child)) continue;
            const found = { parent, platform: platform ?? way.platform, tag: way.tag };
            const known = next.get(child);
            if (known === undefined || compareWays(found, known) < 0) next.set(child, found);
          }
        }
        level = next;
      }
    }
    return ways;
  }
}

const lowest = (tags: string[] | undefined): string => tags?.toSorted()[0] ?? "";

const compareWays = (left: TaggedWay, right: TaggedWay): number =>
  compareText(left.tag, right.tag) || compareText(left.parent ?? "", right.parent ?? "");

const append = <Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void => {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
};
