import { type Alert, DAY, type Family } from "../alert";
import { authoritativeWatchesOf, reported, subjectOf, type Watch } from "../watched";

/** How long the most that was ever seen counts as what should be there: a loss on a Friday is still open on Monday. */
const MEMORY = "7d";

/** The most that each series ever said. */
const most = (series: string): string => `max_over_time(${series}[${MEMORY}:5m])`;

const alertsAbout = (watch: Watch): Alert[] => {
  const repositories = reported(watch, "registry_manifest_integrity_repos_checked");
  const tags = reported(watch, "registry_manifest_integrity_tags_checked");
  const about = watch.registries.map(subjectOf);
  return [
    {
      // A reverse proxy that talks to another registry answers 200 with an empty list: no failure anywhere.
      name: "RegistryCatalogEmpty",
      severity: "critical",
      expr: `sum by (job, instance) (${repositories}) == 0 and on (job, instance) ${most(repositories)} > 0`,
      after: 2 * watch.period,
      summary: "The registry lists no repository any more",
      description:
        "The catalog of {{ $labels.instance }} is empty, and it was not before: its data is gone, or another registry answers in its place.",
      about,
    },
    {
      // A registry goes on listing a repository whose tags are gone, so one that is missing was lost. Tags come and go.
      name: "RegistryIntegrityCoverageLost",
      severity: "warning",
      expr: `${repositories} < ${most(repositories)} or ${tags} < 0.5 * ${most(tags)}`,
      after: 2 * watch.period,
      summary: "The integrity probe sees less of the registry than before",
      description: `Only {{ $value }} of the repositories or tags of {{ $labels.instance }} are left of what was there within ${MEMORY}. Silence this after a planned clean-up.`,
      about,
    },
    {
      // A push that ends early, or images that nobody tags, leave such a repository behind: nothing is lost then.
      name: "RegistryRepositoriesWithoutTags",
      severity: "warning",
      expr: `${reported(watch, "registry_manifest_integrity_repositories_without_tags")} > 0`,
      after: DAY,
      summary: "The registry lists repositories that have no tags",
      description:
        "Repositories without tags in {{ $labels.instance }}: {{ $value }}. Each was never tagged, as after a push that did not end, or has lost its tags.",
      about,
    },
  ];
};

/** Whether all that a registry held is still there. */
export const coverageAlerts: Family = {
  name: "registry-coverage",
  alerts: (site) => authoritativeWatchesOf(site).flatMap(alertsAbout),
};
