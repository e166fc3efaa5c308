import { integrityDashboard } from "../../monitoring/dashboard";
import { allObjectsOf } from "../monitoring/objects";
import { site, synthesise } from "../monitoring/synthesise";

const dashboardOf = (name: "reference" | "small") =>
  allObjectsOf(synthesise(site(name)), { registry_probe_username: "", registry_probe_password: "" }).find(
    ({ metadata }) => metadata.name === "registry-integrity-dashboard",
  );

it("is a ConfigMap with the labels of Grafana's sidecar, whose variables Terraform leaves alone", () => {
  const found = dashboardOf("reference");
  expect(found).toMatchObject({ kind: "ConfigMap", metadata: { labels: { grafana_dashboard: "1" } } });
  expect(JSON.parse(found?.data["registry-integrity.json"])).toEqual(JSON.parse(JSON.stringify(integrityDashboard())));
  expect(found?.data["registry-integrity.json"]).toContain('"${source}"');
});

it("is not made where the site does not ask for it", () => {
  expect(dashboardOf("small")).toBeUndefined();
});
