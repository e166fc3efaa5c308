/** An incident of the lab that was worked on from the pages alone, and what that took. */
interface Drilled {
  /** Where it begins; that of a host is the same for each that has its names in resolv.conf. */
  readonly page: string;
  readonly commands: number;
  /** On two busy cores, typed without a pause. */
  readonly seconds: number;
  /** Where the probe runs in a cluster, and nowhere else. */
  readonly inCluster?: true;
}

/** Stands for the page of a host. */
export const HOST_PAGE = "runbooks/HOST.md";

/** By the incident's name. The drills print what they take, and fail where it is not this many commands. */
export const DRILLS: Readonly<Record<string, Drilled>> = {
  "garbage-collect -m": { page: "runbooks/rebuild-image.md", commands: 22, seconds: 60 },
  "a deleted tag": { page: "runbooks/tag-deleted.md", commands: 8, seconds: 30 },
  "a full disk with a failed clean-up": { page: "alerts/RegistryDiskFull.md", commands: 7, seconds: 40 },
  "an empty catalog, of another registry": { page: "alerts/RegistryCatalogEmpty.md", commands: 8, seconds: 110 },
  "an empty catalog, of a disk that is not mounted": {
    page: "alerts/RegistryCatalogEmpty.md",
    commands: 9,
    seconds: 90,
  },
  "an expired certificate": { page: "alerts/RegistryCatalogInaccessible.md", commands: 8, seconds: 10 },
  "a leaked password": { page: "runbooks/rotate-credentials.md", commands: 15, seconds: 140 },
  "a suspended CronJob after a restart of the Pushgateway": {
    page: "alerts/RegistryIntegrityProbeAbsent.md",
    commands: 6,
    seconds: 10,
    inCluster: true,
  },
  "a dead primary resolver and an edited resolv.conf": { page: HOST_PAGE, commands: 13, seconds: 110 },
  "a fresh VM from the off-site copy": { page: "runbooks/restore.md", commands: 13, seconds: 160 },
};
