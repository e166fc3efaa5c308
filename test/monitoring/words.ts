/**
 * The text of each alert when it starts to fire in the shortest episode that triggers it, sorted if it fires for
 * several subjects.
 */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  RegistryManifestIntegrityFailure: [
    "Broken objects in registry.viktorbarzin.me:5050 in the last 90m: up to 1, missing 1. Pulls of the images that hold them fail. Collect no garbage before they are repaired.",
  ],
  RegistryIntegrityWalkIncomplete: [
    "The last runs over registry.viktorbarzin.me:5050 ended before they had seen everything: a part of its images is unverified.",
  ],
  RegistryWorkloadImageMissing: [
    "Images that pods and CronJobs of the cluster need, and registry.viktorbarzin.me:5050 does not have whole, broken 2, missing 1: the next start on another node fails. The log of the probe names them.",
  ],
  RegistryWorkloadsUnknown: [
    "The last runs over registry.viktorbarzin.me:5050 did not learn all that runs in the cluster, or could not report it: nobody knows whether it can be pulled again, and a clean-up that waits for the report refuses to remove anything.",
  ],
  RegistryCatalogEmpty: [
    "The catalog of registry.viktorbarzin.me:5050 is empty, and it was not before: its data is gone, or another registry answers in its place.",
  ],
  RegistryMassLoss: [
    "10 of 10 repositories of registry.viktorbarzin.me:5050 are gone. Stop what writes to it, its clean-up first: what is left may be all that there is.",
    "100 of 100 tags of registry.viktorbarzin.me:5050 are gone. Stop what writes to it, its clean-up first: what is left may be all that there is.",
  ],
  RegistryIntegrityCoverageLost: [
    "10 of 10 repositories of registry.viktorbarzin.me:5050 that were there are missing.",
    "100 of 100 tags of registry.viktorbarzin.me:5050 that were there are missing.",
  ],
  RegistryRepositoriesWithoutTags: [
    "Repositories without tags in registry.viktorbarzin.me:5050: 1. Each was never tagged, as after a push that did not end, or has lost its tags.",
  ],
  RegistryCertificateExpiresSoon: ["The certificate of registry.viktorbarzin.me:5050 expires in 1d 23h 58m 0s."],
  RegistryCertificateExpiryImminent: [
    "The certificate of registry.viktorbarzin.me:5050 expires in 1d 23h 58m 0s; from then on every pull and push fails.",
  ],
  RegistryCatalogInaccessible: [
    "The catalog of registry.viktorbarzin.me:5050 could not be read. Pulls and pushes are likely to fail, and nothing else about the registry is known.",
  ],
  RegistryIntegrityLabelsOverwritten: [
    "What the Pushgateway says of the registries arrives as if it were about pushgateway:9091, so no other alert about them can fire. Set honor_labels: true in the scrape of the Pushgateway.",
  ],
  RegistryReportsAbsent: [
    "No report about any registry is stored: the Pushgateway is gone, or Prometheus does not scrape it, or it has forgotten everything and nobody reports any more.",
  ],
  RegistryIntegrityProbeStale: [
    "The last report about registry.viktorbarzin.me:5050 is 1h 17m 0s old: whatever it said, it no longer says anything about now.",
  ],
  RegistryIntegrityProbeAbsent: [
    "No report about registry.viktorbarzin.me:5050 is stored, or none about a part of it: the probe has never pushed, or the Pushgateway has forgotten it and the probe does not run.",
  ],
  RegistryIntegrityProbeDead: [
    "Nothing has been heard of registry.viktorbarzin.me:5050 for hours: images may be lost, and nobody would know.",
  ],
  RegistryIntegrityPushFailed: [
    "The last report about registry.viktorbarzin.me:5050 was refused 1970-01-12 13:46:40 +0000 UTC: what is stored is older than it looks.",
  ],
  RegistryIntegrityProbeSlow: [
    "A run over registry.viktorbarzin.me:5050 takes 12m 0s: it puts too much load on the registry and will soon overrun its interval.",
  ],
  RegistryMaintenanceFailed: [
    "The scan of registry.viktorbarzin.me:5050 found something broken on its disk, or could not read it.",
  ],
  RegistryMaintenanceStale: [
    "The maintenance on registry-vm has not succeeded for longer than its schedule allows, or reports nothing: the storage grows, and nobody looks at it.",
  ],
  RegistryMaintenancePushFailed: [
    "The last report of the task disk of registry.viktorbarzin.me:5050 was refused 1970-01-12 13:46:40 +0000 UTC: what is stored is older than it looks.",
  ],
  RegistryBlobsCorrupt: [
    "Blobs of registry.viktorbarzin.me:5050 that do not hash to their name, or that the disk does not give: 1. Whoever pulls an image with one of them fails.",
  ],
  RegistryDiskSpaceLow: [
    "Only 9% of a disk with data of the registries on registry-vm is free. On a full disk every push fails, and so does a clean-up. It holds: 10.0.20.10:5000 10.0.20.10:5010 10.0.20.10:5020 10.0.20.10:5030 10.0.20.10:5040 registry.viktorbarzin.me:5050.",
  ],
  RegistryDiskFull: [
    "Only 1% of a disk with data of the registries on registry-vm is free: pushes fail, layers arrive truncated, and a clean-up cannot begin. It holds: 10.0.20.10:5000 10.0.20.10:5010 10.0.20.10:5020 10.0.20.10:5030 10.0.20.10:5040 registry.viktorbarzin.me:5050.",
  ],
};
