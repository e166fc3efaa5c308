import { CAUSES, INHIBIT_RULES } from "../../monitoring/inhibition";
import { rulesFor } from "../../monitoring/rules";
import { parseSite } from "../../site/load";
import type { MonitoredSite } from "../../site/schema";
import { SHIPPED } from "../sites";
import { type Json, site } from "./synthesise";

/** A site that also cleans up over HTTP, which the reference site does not. */
const cleaning = structuredClone(SHIPPED.forgejo) as Json;
cleaning.monitoring.externalRegistries[0].cleanUp.suspend = false;

const rules = [site("reference"), parseSite(cleaning) as MonitoredSite].flatMap((given) =>
  rulesFor(given).flatMap((group) => group.rules),
);
const severityOf = (name: string): string | undefined => rules.find(({ alert }) => alert === name)?.labels.severity;

it.each(CAUSES)("knows $cause and all that follows from it", ({ cause, effects }) => {
  for (const name of [cause, ...effects])
    expect({ name, severity: severityOf(name) }).not.toMatchObject({ severity: undefined });
  expect(effects).not.toContain(cause);
});

it("never lets a warning mute a critical alert", () => {
  const muted = CAUSES.flatMap(({ cause, effects }) => effects.map((effect) => ({ cause, effect })));
  expect(
    muted.filter(({ cause, effect }) => severityOf(cause) === "warning" && severityOf(effect) === "critical"),
  ).toEqual([]);
});

it("lets nothing but a catalog that cannot be read mute what is broken", () => {
  expect(
    CAUSES.filter(({ effects }) => effects.includes("RegistryManifestIntegrityFailure")).map(({ cause }) => cause),
  ).toEqual(["RegistryCatalogInaccessible"]);
});

it("tells clusters apart in each, and never mutes in a circle", () => {
  for (const { equal } of INHIBIT_RULES) expect(equal).toContain("cluster");
  const reached = (name: string, seen: readonly string[]): string[] =>
    CAUSES.filter(({ cause }) => cause === name).flatMap(({ effects }) =>
      effects.flatMap((effect) => (seen.includes(effect) ? [effect] : reached(effect, [...seen, effect]))),
    );
  for (const { cause } of CAUSES) expect(reached(cause, [cause])).not.toContain(cause);
});
