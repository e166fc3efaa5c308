import { maintenanceTasks } from "../hosts/maintenance";
import type { PlanOutcome } from "../review/terraform";
import { imageReference } from "../site/image";
import {
  deferredHosts,
  hasRegistry,
  isMonitored,
  type MonitoredSite,
  managedHosts,
  probedService,
  type RegistrySite,
  registryHost,
  type Site,
  serviceInstance,
} from "../site/schema";
import { columns } from "../text/columns";
import { plural } from "../text/plural";

/** The result for one stack. */
export interface StackReport {
  readonly stack: string;
  /** Resources in the synthesized JSON. */
  readonly resources: number;
  /** Folder of the JSON and the plan, as the user would type it. */
  readonly directory: string;
  /** Undefined if there is no Terraform to plan with. */
  readonly plan: PlanOutcome | undefined;
}

const summary = (plan: PlanOutcome | undefined): string => {
  if (plan === undefined) return "not planned";
  if (plan.kind === "unavailable") return "not planned (provider)";
  if (plan.kind === "failed") return "failed";
  const { add, change, destroy, import: imported } = plan.counts;
  if (add + change + destroy + imported === 0) return "no changes";
  return `${imported > 0 ? `${imported} to import, ` : ""}${add} to add, ${change} to change, ${destroy} to destroy`;
};

const files = ({ plan, directory }: StackReport): string =>
  `${directory}/${plan?.kind === "planned" ? "{cdk.tf.json,plan,plan.txt}" : "cdk.tf.json"}`;

/** The table of `npm start` and `npm run plan`. */
export const planTable = (reports: readonly StackReport[]): string => {
  const rows = reports.map((report) => [report.stack, String(report.resources), summary(report.plan), files(report)]);
  return columns([["stack", "resources", "plan", "files"], ...rows]).join("\n");
};

const HOW_TO_GET_PROVIDERS =
  "name a provider mirror in Terraform's CLI configuration, or run where its registry can be reached";

/** One line for each stack that could not be planned, with the cause and the hint. */
export const planNotes = (reports: readonly StackReport[]): string[] =>
  reports.flatMap(({ stack, plan, directory }) => {
    if (plan?.kind === "unavailable")
      return [`${stack}: synthesised, not planned: ${plan.reason}; ${HOW_TO_GET_PROVIDERS}`];
    if (plan?.kind === "failed") return [`${stack}: the plan failed: ${plan.reason}; all of it: ${directory}/plan.txt`];
    return [];
  });

const describeRegistry = (site: RegistrySite): string[] => {
  const { services, images, maintenance } = site.registry;
  const { name } = registryHost(site);
  return [
    `registry  ${plural(services.length, "service")} of ${imageReference(images.registry)} behind ${imageReference(images.nginx)} on ${name}`,
    ...(maintenance === undefined
      ? []
      : [
          `timers    ${maintenanceTasks(maintenance)
            .map(({ task }) => task)
            .join(", ")} on ${name}`,
        ]),
  ];
};

const describeProbes = (site: MonitoredSite): string[] =>
  site.monitoring.probes.map(
    (probe) =>
      `probe     ${probe.name}: ${serviceInstance(site, probedService(site, probe))} every ${probe.periodMinutes} minutes${probe.runsOn === "cluster" ? "" : `, on ${site.registry?.host}`}`,
  );

/** What a site deploys, for a first-time reader. */
export const describeSite = (site: Site): string[] => [
  ...managedHosts(site).map(({ title, name, address }) => `host      ${name} (${title}, ${address})`),
  ...deferredHosts(site).map(
    ({ title, name, address, deferred }) => `deferred  ${name} (${title}, ${address}): ${deferred.reason}`,
  ),
  ...(hasRegistry(site) ? describeRegistry(site) : []),
  ...(isMonitored(site) ? describeProbes(site) : []),
];
