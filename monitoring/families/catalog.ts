import type { Family } from "../alert";
import { reported, subjectOf, watchesOf } from "../watched";

/** Whether a registry answers at all. */
export const catalogAlerts: Family = {
  name: "registry-catalog",
  alerts: (site) =>
    watchesOf(site).map((watch) => ({
      name: "RegistryCatalogInaccessible",
      severity: "critical",
      expr: `${reported(watch, "registry_manifest_integrity_catalog_accessible")} == 0`,
      after: watch.period,
      summary: "The registry does not list its repositories",
      description:
        "The catalog of {{ $labels.instance }} could not be read. Pulls and pushes are likely to fail, and nothing else about the registry is known.",
      about: watch.registries.map(subjectOf),
    })),
};
