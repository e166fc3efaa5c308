import { isExternal } from "../../site/schema";
import { type Alert, type Family, hostLabel, MINUTE } from "../alert";
import { repeatedly } from "../evidence";
import { aboutEach, REGISTRY, reported, type Watch, watchesOf } from "../watched";

/** A run that has retried for this long without success is as conclusive as two that did not. Seconds. */
export const CERTAIN = 4 * MINUTE;

const NAME = "RegistryCatalogInaccessible";

/** @param labels mark what else goes down with the registry */
const inaccessible = (watch: Watch, labels: Alert["labels"]): Alert => ({
  name: NAME,
  severity: "critical",
  expr: repeatedly(
    watch,
    {
      series: (of) => reported(of, "registry_manifest_integrity_catalog_accessible"),
      well: "== 1",
      failing: "== 0",
      worst: "min",
    },
    NAME,
    [
      `max by (${REGISTRY}) (${reported(watch, "registry_manifest_integrity_catalog_inaccessible_seconds")}) >= ${CERTAIN}`,
    ],
  ),
  after: 0,
  summary: "The registry does not list its repositories",
  description:
    "The catalog of {{ $labels.instance }} could not be read. Pulls and pushes are likely to fail, and nothing else about the registry is known.",
  ...aboutEach(watch),
  labels: { ...aboutEach(watch).labels, ...labels },
});

/** Whether a registry answers at all. */
export const catalogAlerts: Family = {
  name: "registry-catalog",
  alerts: (site) => [
    ...watchesOf(site, ({ service }) => !isExternal(service)).map((watch) => inaccessible(watch, hostLabel(site))),
    ...watchesOf(site, ({ service }) => isExternal(service)).map((watch) => inaccessible(watch, {})),
  ],
};
