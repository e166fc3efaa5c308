import type { Probe } from "./monitoring";

/** The name of the ClusterRole, and of its binding, by which a probe may see what runs. */
export const workloadRole = (namespace: string, probe: string): string => `${namespace}-${probe}`;

/** The Secret of the account by which a probe may push, beside that of its own: renewing one loses nothing of the other. */
export const pushSecret = ({ secret }: { readonly secret: string }): string => `${secret}-push`;

const MINUTES_A_DAY = 24 * 60;

/**
 * How a probe walks its registry, as the variables of its program.
 *
 * A private registry of the site keeps no blob descriptors in memory, so it answers HEAD from the file itself, at less than
 * half the cost of a last byte; what only reading shows (permissions, bad sectors) each blob is asked for once a day, in its
 * turn. What other registries keep in memory nobody knows: they are asked for every last byte.
 *
 * @param isOwn whether the site runs the registry, and it is no pull-through cache
 */
export const walkVariables = (
  {
    concurrency,
    shards,
    periodMinutes,
    rate,
    repositories,
    platforms,
  }: Pick<Probe, "concurrency" | "shards" | "periodMinutes" | "rate" | "repositories" | "platforms">,
  isOwn: boolean,
): Record<string, string> => ({
  CONCURRENCY: String(Math.floor(concurrency / shards)),
  ...(rate === undefined ? {} : { RATE: String(rate / shards) }),
  ...(repositories.length === 0 ? {} : { REPOSITORIES: repositories.join(",") }),
  ...(platforms.length === 0 ? {} : { PLATFORMS: platforms.join(",") }),
  ...(isOwn ? { BLOBS: "head", LAST_BYTE_TURNS: String(MINUTES_A_DAY / periodMinutes) } : {}),
});
