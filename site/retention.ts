import * as z from "zod";
import { duplicates, label, matching, oneOf, record, refused, hours as someHours, wholeNumber } from "./fields";

const REPOSITORIES =
  'a pattern of repositories such as "team/*", where * stands for any characters but a slash and ** for any at all';
const TAGS = 'a pattern of tags such as "v1.*", where * stands for any characters';

/** A name as in the OCI distribution specification, with wildcards; any other pattern would never match. */
const repositories = matching(/^(?!.*(\/\/|\*{3}))(?![/.-])[a-z0-9._*-]+(\/[a-z0-9._*-]+)*$/, REPOSITORIES);
const tags = z.array(matching(/^(?![.-])(?!.*\*{3})[\w.*-]{1,128}$/, TAGS), {
  error: "allowed is a list of patterns of tags",
});

const deleteUntagged = refused(
  "allowed is to leave it out: garbage-collect -m deletes the parts of tagged images on this version of the registry, set untaggedOlderThanHours instead",
);

const hours = wholeNumber(1, "a whole number of hours, 1 or more");

const rule = record({
  /** The repositories to which it applies. */
  repositories,
  /** How many of the newest tags are kept. Never 0, so that no repository loses all of its tags. */
  keepNewest: wholeNumber(1, "a whole number, 1 or more: a repository never loses every tag"),
  /**
   * Which tags are the newest: those pushed last, or those whose images were created last, for stores whose file times were
   * lost in a copy. Default: pushed.
   */
  order: oneOf(["pushed", "created"]).optional(),
  /** Tags that are kept regardless of age. Default: none. */
  keep: tags.optional(),
  /** Tags pushed within this many hours are kept. Default: no tag is kept because of its age. */
  keepYoungerThanHours: hours.optional(),
  /** Manifests that no kept tag leads to are kept for this many hours. Default: they are removed immediately. */
  untaggedOlderThanHours: hours.optional(),
  deleteUntagged,
});

/** A probe renews its report at least hourly. */
const AGE = { least: 2, most: 168 };

const protectInUse = record({
  /** The names under which they report: monitoring.cluster of their site, or "cluster" if that is not set. */
  clusters: z
    .array(label, { error: "allowed is a list of clusters" })
    .min(1, { error: "allowed is at least one cluster: leave protectInUse out where there is none" })
    .max(20, { error: "allowed are at most 20 clusters" })
    .refine((clusters) => duplicates(clusters).length === 0, { error: "allowed is each cluster once" }),
  /** An older report prevents the clean-up, as does a missing one. */
  maximumAgeHours: someHours(AGE.least, AGE.most),
});

/** What a private registry keeps. As JSON it is the policy file of `warden prune`. */
export const retention = record({
  /** Tags that are kept in every repository. Default: none. */
  protect: tags.optional(),
  /** Images in use in these clusters, as reported by their probes, are kept, tagged or not. Default: usage is not considered. */
  protectInUse: protectInUse.optional(),
  /** The first rule that matches a repository applies; a repository that none matches is left alone. */
  rules: z.array(rule, { error: "allowed is a list of rules" }).min(1, { error: "allowed is at least one rule" }),
  deleteUntagged,
});

export type RetentionPolicy = z.output<typeof retention>;
export type ProtectInUse = z.output<typeof protectInUse>;
export type RetentionRule = RetentionPolicy["rules"][number];
