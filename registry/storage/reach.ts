import type { Digest } from "../oci/digest";
import { compare } from "../oci/graph";

/** How an object is reached from a tag: the manifest that names it and the platform it is for. */
export interface Way {
  parent: Digest | null;
  platform: string | null;
}

interface MeasuredWay extends Way {
  /** Manifests between the tag and the object; infinite where no tag leads to it. */
  length: number;
  tag: string;
}

const NO_WAY: MeasuredWay = { parent: null, platform: null, length: Number.POSITIVE_INFINITY, tag: "" };

/** Which tags lead to an object, and by which way. Only the references that were told are known. */
export class Reach {
  private readonly tags = new Map<Digest, string[]>();
  private readonly references = new Map<Digest, { parent: Digest; platform: string | null }[]>();

  tag(tag: string, digest: Digest): void {
    append(this.tags, digest, tag);
  }

  refer(parent: Digest, digest: Digest, platform: string | null): void {
    append(this.references, digest, { parent, platform });
  }

  tagged(): Iterable<Digest> {
    return this.tags.keys();
  }

  /** Every tag that leads to the digest, in ascending order. */
  tagsTo(digest: Digest): string[] {
    const found = new Set<string>();
    const seen = new Set<Digest>();
    const pending = [digest];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      for (const tag of this.tags.get(next) ?? []) found.add(tag);
      for (const { parent } of this.references.get(next) ?? []) pending.push(parent);
    }
    return [...found].sort();
  }

  /** The shortest way; of several as short that from the lowest tag, then by the lowest parent. */
  wayTo(digest: Digest): Way {
    const { parent, platform } = this.measure(digest, new Set());
    return { parent, platform };
  }

  private measure(digest: Digest, above: ReadonlySet<Digest>): MeasuredWay {
    const tags = this.tags.get(digest);
    if (tags !== undefined) return { ...NO_WAY, length: 0, tag: tags.toSorted()[0] ?? "" };
    const passed = new Set(above).add(digest);
    const ways = (this.references.get(digest) ?? [])
      .filter(({ parent }) => !passed.has(parent))
      .map(({ parent, platform }): MeasuredWay => {
        const way = this.measure(parent, passed);
        return { parent, platform: platform ?? way.platform, length: way.length + 1, tag: way.tag };
      });
    return ways.sort(compareWays)[0] ?? NO_WAY;
  }
}

function compareWays(left: MeasuredWay, right: MeasuredWay): number {
  const byLength = left.length === right.length ? 0 : left.length - right.length;
  return byLength || compare(left.tag, right.tag) || compare(left.parent ?? "", right.parent ?? "");
}

function append<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
