/** An incident in the lab that was resolved using only the pages, and what that took. */
interface Drilled {
  /** The page on which it starts; for a host, the same for every host with names in resolv.conf. */
  readonly page: string;
  readonly commands: number;
  /** Measured on two busy cores, without pauses between commands. */
  readonly seconds: number;
  /** Whether it needs a probe in a cluster. */
  readonly inCluster?: true;
}

/** Placeholder for the page of a host. */
export const HOST_PAGE = "runbooks/HOST.md";

/** By name of the incident. The drills print their measurements, and fail if the number of commands differs. */
export const DRILLS: Readonly<Record<string, Drilled>> = {
  "garbage-collect -m": { page: "runbooks/rebuild-image.md", commands: 22, seconds: 30 },
  "a deleted tag": { page: "runbooks/tag-deleted.md", commands: 8, seconds: 10 },
  "a full disk with a failed clean-up": { page: "alerts/RegistryDiskFull.md", commands: 7, seconds: 30 },
  "an empty catalog, of another registry": { page: "alerts/RegistryCatalogEmpty.md", commands: 8, seconds: 40 },
  "an empty catalog, of a disk that is not mounted": {
    page: "alerts/RegistryCatalogEmpty.md",
    commands: 9,
    seconds: 20,
  },
  "an expired certificate": { page: "alerts/RegistryCatalogInaccessible.md", commands: 8, seconds: 10 },
  "a leaked password": { page: "runbooks/rotate-credentials.md", commands: 15, seconds: 50 },
  "a suspended CronJob after a restart of the Pushgateway": {
    page: "alerts/RegistryIntegrityProbeAbsent.md",
    commands: 6,
    seconds: 10,
    inCluster: true,
  },
  "a dead primary resolver and an edited resolv.conf": { page: HOST_PAGE, commands: 13, seconds: 70 },
  "a fresh VM from the off-site copy": { page: "runbooks/restore.md", commands: 13, seconds: 100 },
};
