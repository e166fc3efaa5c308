import { compareText } from "../../text/compare-text";
import { type Digest, isDigest } from "../oci/digest";
import { StoreContents } from "./contents";
import { createdDates } from "./created";
import type { Link, StoreReader } from "./reader";
import { type TagPush, tagHistory } from "./tag-history";

/** An image that no tag leads to any more, but whose bytes are all present. */
export interface DeletedImage {
  repository: string;
  digest: Digest;
  /** When it was created, in milliseconds since the epoch; null if it does not say. */
  createdAt: number | null;
  /** When its link was removed, in milliseconds since the epoch; null if the link still exists and only its tags are gone. */
  deletedAt: number | null;
  /** The tags that it had, as far as known, in ascending order. */
  tags: string[];
}

/** A push of a tag, from the registry's log. */
export interface LoggedPush {
  repository: string;
  tag: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** A registry logs a push after writing it; the two times differ by at most this. Milliseconds. */
const LOG_TOLERANCE = 2000;

/**
 * What a deletion through the API has left on the disk, until the next garbage collection: `DELETE` removes a manifest's link
 * and the tags that point at it, but not the link's folder and no data. If the registry deletes single tags, the
 * manifest's link stays too; the history of the remaining tags then distinguishes a deleted image from one whose tag was
 * overwritten by a later push.
 *
 * @param pushes from the registry's log, which may reveal the tags
 */
export const deletedImages = (reader: StoreReader, pushes: readonly LoggedPush[] = []): DeletedImage[] => {
  const contents = new StoreContents(reader);
  const created = createdDates(reader);
  return [...reader.repositories()].flatMap((repository) => {
    const { name } = repository;
    const tags = reader.tags(repository);
    const tagged = new Set(tags.flatMap((tag) => digestIn(reader.link(repository.tagLink(tag)))));
    const replaced = new Set(tags.flatMap((tag) => tagHistory(reader, name, tag).map(({ digest }) => digest)));
    const candidates = [...reader.digests(repository.revisions)].filter((digest) => {
      const isLinked = reader.link(repository.revisionLink(digest)) !== "absent";
      if (tagged.has(digest) || !contents.isComplete(digest)) return false;
      // Replaced by a later push, or a signature, which has no tag of its own.
      return !isLinked || !(replaced.has(digest) || hasSubject(reader, digest));
    });
    // A part of an image that is present, or restored together with it, is not an image of its own.
    const parts = contents.below([...tagged, ...candidates]);
    const roots = candidates.filter((digest) => !parts.has(digest));
    const histories = new Map(tags.map((tag) => [tag, tagHistory(reader, name, tag)]));
    const told = tagsTold(
      reader,
      roots,
      unexplained(
        pushes.filter((push) => push.repository === name),
        histories,
      ),
    );
    return roots.map((digest): DeletedImage => {
      const isLinked = reader.link(repository.revisionLink(digest)) !== "absent";
      const remembered = tags.filter((tag) => histories.get(tag)?.some((push) => push.digest === digest));
      return {
        repository: name,
        digest,
        createdAt: created(digest),
        deletedAt: isLinked ? null : reader.changedAt(repository.revision(digest)),
        tags: [...new Set([...(told.get(digest) ?? []), ...remembered])].sort(compareText),
      };
    });
  });
};

/** The pushes that are not in the history of any existing tag. */
const unexplained = (pushes: readonly LoggedPush[], histories: ReadonlyMap<string, readonly TagPush[]>): LoggedPush[] =>
  pushes.filter(({ tag, at }) => !histories.get(tag)?.some((push) => isThen(at, push.at)));

/** The tags with which images were pushed, by when their data was written; a push that matches two images is ignored. */
const tagsTold = (
  reader: StoreReader,
  roots: readonly Digest[],
  pushes: readonly LoggedPush[],
): Map<Digest, string[]> => {
  const told = new Map<Digest, string[]>();
  for (const { tag, at } of pushes) {
    const [root, other] = roots.filter((digest) => isThen(at, reader.changedAt(reader.layout.blobData(digest)) ?? 0));
    if (root !== undefined && other === undefined) told.set(root, [...(told.get(root) ?? []), tag]);
  }
  return told;
};

const isThen = (logged: number, written: number): boolean => Math.abs(logged - written) <= LOG_TOLERANCE;

const digestIn = (link: Link): Digest[] => (isDigest(link) ? [link] : []);

const hasSubject = (reader: StoreReader, digest: Digest): boolean => {
  const stored = reader.manifest(digest);
  return stored.state === "whole" && stored.manifest.subject !== undefined;
};

/** A registry's log line about a request: logfmt, JSON, or the combined format of its access log. */
const PUSH = /\bPUT\b.*?\/v2\/([^\s"?]+)\/manifests\/([\w][\w.-]{0,127})(?=[\s"?])/;
const REVERSED_PUSH = /\/v2\/([^\s"?]+)\/manifests\/([\w][\w.-]{0,127})(?=[\s"?]).*?\bPUT\b/;
const RFC3339 = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/;
/** https://httpd.apache.org/docs/2.4/logs.html#combined */
const COMBINED = /\[(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)\]/;

/** The pushes of tags in a registry's log; other lines are skipped. */
export const pushesIn = (log: string): LoggedPush[] =>
  log.split("\n").flatMap((line) => {
    const [, repository, tag] = PUSH.exec(line) ?? REVERSED_PUSH.exec(line) ?? [];
    const at = timeIn(line);
    return repository === undefined || tag === undefined || at === null ? [] : [{ repository, tag, at }];
  });

const timeIn = (line: string): number | null => {
  const [, day, month, year, time, hours, minutes] = COMBINED.exec(line) ?? [];
  const text = day === undefined ? RFC3339.exec(line)?.[0] : `${day} ${month} ${year} ${time} ${hours}${minutes}`;
  const at = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? null : at;
};
