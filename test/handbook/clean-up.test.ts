import { documentsOf, handbook } from "../../handbook/handbook";
import { parseSite } from "../../site/load";
import { type Json, SITES } from "../monitoring/synthesise";
import { parsed, SHIPPED } from "../sites";

const pagesOf = (bend: (site: Json) => void = () => {}): ReadonlyMap<string, string> => {
  const site = structuredClone(SHIPPED.forgejo) as Json;
  bend(site);
  return handbook(parseSite(site));
};

const runs = (site: Json) => {
  site.monitoring.externalRegistries[0].cleanUp.suspend = false;
};

it("has a runbook, by the names of the site", () => {
  const page = pagesOf().get("runbooks/clean-up.md") ?? "";
  expect(page).toContain("npm run -s warden -- prune forge\n");
  expect(page).toContain("create job --from cronjob/forge-clean-up forge-clean-up-now");
  expect(page).toContain("get pvc forge-clean-up-journal");
  expect(page).toContain("UNDO=/var/lib/registry-warden/HOST/TIME");
  expect(page).toContain("once it is no longer suspended");
});

it("has the log read before the run that wrote it is deleted", () => {
  const [, undo = ""] = (pagesOf().get("runbooks/clean-up.md") ?? "").split("### It removed what is needed");
  expect(undo.indexOf(" logs ")).toBeGreaterThan(0);
  expect(undo.indexOf(" logs ")).toBeLessThan(undo.indexOf(" delete jobs "));
});

it("has a page for each alert: of one that is suspended only for a run that failed", () => {
  const alerts = (pages: ReadonlyMap<string, string>) =>
    [...pages.keys()].filter((path) => path.startsWith("alerts/RegistryCleanUp")).sort();
  expect(alerts(pagesOf())).toEqual(["alerts/RegistryCleanUpFailed.md"]);
  expect(alerts(pagesOf(runs))).toEqual([
    "alerts/RegistryCleanUpAbsent.md",
    "alerts/RegistryCleanUpFailed.md",
    "alerts/RegistryCleanUpStale.md",
  ]);
  for (const path of alerts(pagesOf(runs))) expect(pagesOf(runs).get(path)).toContain("forge-clean-up");
});

it("says in the catalog when it runs, or that it does not", () => {
  expect(pagesOf().get("services.md")).toContain("| `forge-clean-up` | `git.example.org` | **suspended** |");
  expect(pagesOf(runs).get("services.md")).toContain("| `forge-clean-up` | `git.example.org` | `03:00` on `sun` |");
});

it("says how soon a weekly one that does not run is told", () => {
  expect(pagesOf(runs).get("services.md")).toMatch(
    /RegistryCleanUpStale\S+ \| warning \| 11580 min \| the last success/,
  );
});

it("has its account among those that are renewed", () => {
  const path = "runbooks/rotate-credentials.md";
  expect(pagesOf().get(path)).toContain("create secret generic forge-clean-up ");
  const variables = pagesOf((site) => {
    const { cleanUp } = site.monitoring.externalRegistries[0];
    cleanUp.credentials = { from: "variables", secret: "forge-clean-up", revision: 1 };
  });
  expect(variables.get(path)).toContain("`cleanUp.credentials.revision`");
});

it("is made again where the state is lost, its program and its Secret too", () => {
  const page = pagesOf((site) => {
    site.monitoring.externalRegistries[0].cleanUp.credentials = { from: "variables", secret: "cleaner", revision: 1 };
  }).get("runbooks/terraform-state.md");
  expect(page).toContain("delete cronjob forge-clean-up");
  expect(page).toContain("delete secret cleaner");
  expect(page).toContain("grep 'registry-.*-program'");
});

it("is on no page of a site that cleans up nothing over HTTP", () => {
  const texts = documentsOf(parsed(SITES.reference)).map((page) => JSON.stringify(page.body));
  expect(texts.filter((text) => text.includes("RegistryCleanUp"))).toEqual([]);
});
