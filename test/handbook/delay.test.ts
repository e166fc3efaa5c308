import { delaysOf } from "../../handbook/delay";
import { rulesFor } from "../../monitoring/rules";
import { EPISODES, type Episode } from "../monitoring/episodes";
import type { Event } from "../monitoring/simulation";
import { site } from "../monitoring/synthesise";
import { parsed, referenceSite, small } from "../sites";

const MINUTE = 60;
const minutes = (delays: ReturnType<typeof delaysOf>): Record<string, number> =>
  Object.fromEntries(delays.map(({ alert, atMost }) => [alert, Math.round(atMost / MINUTE)]));

it("knows the worst case of every alert of a site", () => {
  for (const given of [referenceSite, parsed(small)])
    expect(new Set(delaysOf(given).map(({ alert }) => alert))).toEqual(
      new Set(rulesFor(given).flatMap(({ rules }) => rules.map(({ alert }) => alert))),
    );
});

it("pages for the incident within 45 minutes, and for a dead catalog within 30", () => {
  expect(minutes(delaysOf(referenceSite))).toMatchObject({
    RegistryManifestIntegrityFailure: 42,
    RegistryCatalogInaccessible: 20,
    RegistryCatalogEmpty: 57,
    RegistryIntegrityProbeStale: 75,
    RegistryIntegrityProbeDead: 240,
    RegistryDiskFull: 30,
    RegistryHostUnwatched: 50,
  });
});

it("follows the site: a run that cannot be patient needs another one, and the slowest probe counts", () => {
  const hasty = site("reference", ({ monitoring: { probes } }) => Object.assign(probes[0], { deadlineSeconds: 300 }));
  expect(minutes(delaysOf(hasty)).RegistryCatalogInaccessible).toBe(31);
  const slower = site("reference", ({ monitoring: { probes } }) => {
    probes.push({ name: "slower", service: "ghcr", periodMinutes: 60, deadlineSeconds: 720 });
  });
  expect(minutes(delaysOf(slower)).RegistryCatalogInaccessible).toBe(65);
});

const beginningOf = (event: Event): number => ("from" in event ? event.from : event.at);

/** For each alert of an episode: how long after the latest event it fired. */
const shown = ({ events = [], fires }: Episode): { alert: string; after: number }[] =>
  Object.entries(fires).map(([name, spans]) => {
    const first = spans[0]?.[0] ?? 0;
    const before = events.map(beginningOf).filter((beginning) => beginning <= first);
    return { alert: name.split(" ")[0] ?? "", after: first - Math.max(0, ...before) };
  });

/** A failure that only some runs hit is seen later. */
const isSteady = ({ events = [] }: Episode): boolean => !events.some((event) => "every" in event && event.every !== 1);

/** The report is due an hour after the last one; the delay counts from then on. */
const isLate = ({ events = [] }: Episode, alert: string): boolean =>
  alert === "RegistryMaintenanceStale" && events.some(({ kind }) => kind === "host down");

it("is never later than that in an episode, which promtool has evaluated", () => {
  for (const episode of EPISODES.filter(isSteady)) {
    const { what, cluster, deadline, shards = 1, step = 1, every = step } = episode;
    const given = site(episode.site ?? "reference", ({ monitoring }) => {
      Object.assign(monitoring.probes[0], { shards });
      // A run with a shorter deadline gives up sooner on a catalog that it cannot read.
      if (deadline !== undefined) monitoring.probes[0].deadlineSeconds = deadline;
      if (cluster !== undefined) monitoring.cluster = cluster;
    });
    const worst = minutes(delaysOf(given));
    for (const { alert, after } of shown(episode).filter(({ alert }) => !isLate(episode, alert)))
      expect({ what, alert, inTime: after <= (worst[alert] ?? 0) + step + every }).toEqual({
        what,
        alert,
        inTime: true,
      });
  }
});

it("is as late as that in the worst ones: the table promises nothing that is not needed", () => {
  const worst = minutes(delaysOf(referenceSite));
  const latest = (alert: string): number =>
    Math.max(...EPISODES.flatMap(shown).flatMap((each) => (each.alert === alert ? [each.after] : [])));
  for (const alert of ["RegistryManifestIntegrityFailure", "RegistryCatalogInaccessible"])
    expect(latest(alert)).toBeGreaterThanOrEqual((worst[alert] ?? 0) - 1);
});
