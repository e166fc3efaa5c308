import * as z from "zod";
import { duplicates, label, matching, oneOf, record, refused, hours as someHours, wholeNumber } from "./fields";

const REPOSITORIES =
  'a pattern of repositories such as "team/*", where * stands for any characters but a slash and ** for any at all';
const TAGS = 'a pattern of tags such as "v1.*", where * stands for any characters';

/** A name of the OCI distribution specification with stars in it; anything else would never match. */
const repositories = matching(/^(?!.*(\/\/|\*{3}))(?![/.-])[a-z0-9._*-]+(\/[a-z0-9._*-]+)*$/, REPOSITORIES);
const tags = z.array(matching(/^(?![.-])(?!.*\*{3})[\w.*-]{1,128}$/, TAGS), {
  error: "allowed is a list of patterns of tags",
});

const deleteUntagged = refused(
  "allowed is to leave it out: garbage-collect -m deletes the parts of tagged images on this version of the registry, set untaggedOlderThanHours instead",
);

const hours = wholeNumber(1, "a whole number of hours, 1 or more");

const rule = record({
  /** The repositories it is for. */
  repositories,
  /** How many tags stay, those that were pushed last. Never 0, so that no repository loses all it has. */
  keepNewest: wholeNumber(1, "a whole number, 1 or more: a repository never loses every tag"),
  /**
   * Which tags are the newest: those pushed last, or those whose images were created last, for stores whose times a copy has
   * lost. Default: pushed.
   */
  order: oneOf(["pushed", "created"]).optional(),
  /** Tags that stay whatever their age. Default: none. */
  keep: tags.optional(),
  /** Tags pushed within so many hours stay. Default: age alone keeps none. */
  keepYoungerThanHours: hours.optional(),
  /** Manifests that no kept tag leads to stay for so many hours. Default: they go at once. */
  untaggedOlderThanHours: hours.optional(),
  deleteUntagged,
});

/** A probe renews its report within an hour. */
const AGE = { least: 2, most: 168 };

const protectInUse = record({
  /** By the name that each reports under: monitoring.cluster of its site, or "cluster" where that has none. */
  clusters: z
    .array(label, { error: "allowed is a list of clusters" })
    .min(1, { error: "allowed is at least one cluster: leave protectInUse out where there is none" })
    .max(20, { error: "allowed are at most 20 clusters" })
    .refine((clusters) => duplicates(clusters).length === 0, { error: "allowed is each cluster once" }),
  /** A report that is older refuses the clean-up, as one that is missing does. */
  maximumAgeHours: someHours(AGE.least, AGE.most),
});

/** What a private registry keeps. As JSON it is the policy file of `warden prune`. */
export const retention = record({
  /** Tags that stay in every repository. Default: none. */
  protect: tags.optional(),
  /** What runs in these clusters stays, tagged or not, by what their probes report. Default: nobody asks what runs. */
  protectInUse: protectInUse.optional(),
  /** The first that names a repository decides; a repository that none names is left as it is. */
  rules: z.array(rule, { error: "allowed is a list of rules" }).min(1, { error: "allowed is at least one rule" }),
  deleteUntagged,
});

export type RetentionPolicy = z.output<typeof retention>;
export type ProtectInUse = z.output<typeof protectInUse>;
export type RetentionRule = RetentionPolicy["rules"][number];
