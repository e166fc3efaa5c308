import type { Probe } from "./monitoring";

/** The name of the ClusterRole, and of its binding, that lets a probe list the workloads. */
export const workloadRole = (namespace: string, probe: string): string => `${namespace}-${probe}`;

/** The Secret of a probe's push account, separate from its own: each can be renewed without the other. */
export const pushSecret = ({ secret }: { readonly secret: string }): string => `${secret}-push`;

const MINUTES_A_DAY = 24 * 60;

/**
 * How a probe walks its registry, as environment variables of its program.
 *
 * A private registry of the site keeps no blob descriptors in memory, so it answers HEAD from the file itself, at less than
 * half the cost of a last byte; errors that only reading reveals (permissions, bad sectors) are found by reading each blob
 * once a day, in its turn. Other registries may cache descriptors, so every last byte is requested from them.
 *
 * @param isOwn whether the site runs the registry, and it is not a pull-through cache
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
