import { Command } from "commander";
import { deliveriesTo } from "../hosts/deliveries";
import { inspectionScript } from "../hosts/delivery";
import type { HostFinding, HostReport } from "../hosts/finding";
import { HostError } from "../hosts/ssh";
import { type Host, isManaged } from "../site/host";
import type { Site } from "../site/schema";
import { clusterReport } from "./cluster-drift";
import { exampleHost, examples } from "./examples";
import { findingsOn, hostOf, hostTable } from "./host";
import { print, printError, printJson, printJsonList } from "./output";
import { selectedClusterSite, selectedSite } from "./selected-site";

interface DriftOptions {
  site?: string;
  cluster?: true;
  json?: true;
}

const reportOn = async (site: Site, host: Host): Promise<HostReport> => {
  if (!isManaged(host)) return { host: host.name, findings: [], deferred: host.deferred?.reason };
  const findings: HostFinding[] = [];
  for (const delivery of deliveriesTo(site, host))
    findings.push(...(await findingsOn(host, inspectionScript(delivery), ["inspect"])).findings);
  return { host: host.name, findings };
};

/** What restores a host; Terraform only compares with its last delivery, and sees no change. */
const nextOf = ({ host, findings }: HostReport, siteArgument: readonly string[]): string[] =>
  findings.length === 0
    ? []
    : [
        `next      ${["warden deliver", host, ...siteArgument].join(" ")}    makes it as the site has it; --dry-run shows how`,
      ];

/** Several unreachable hosts, as one error. */
const together = (errors: readonly unknown[]): unknown => {
  const [first] = errors;
  if (errors.length < 2 || !errors.every((error) => error instanceof HostError)) return first;
  const hints = new Set(errors.map(({ hint }) => hint));
  return new HostError(
    errors[0]?.code ?? "failed",
    errors.map(({ message }) => message).join(", "),
    [...hints].join(", "),
  );
};

const run = async (
  name: string | undefined,
  { site: option, cluster, json }: DriftOptions,
  command: Command,
): Promise<void> => {
  if (name !== undefined && cluster)
    command.error("error: a host and --cluster exclude each other: ask for one of them at a time");
  if (cluster) {
    const report = await clusterReport(selectedClusterSite(option));
    if (json) await printJson(report);
    else print(hostTable(report));
    process.exitCode = Number(report.findings.length > 0);
    return;
  }
  const { site, file, argument } = selectedSite(option);
  const hosts = name === undefined ? site.hosts : [hostOf(site, name)];
  const outcomes = await Promise.allSettled(hosts.map((host) => reportOn(site, host)));
  const reports = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const errors = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  const found = reports.some(({ findings }) => findings.length > 0);
  // An unreachable host must not hide the findings on the others.
  if (!json)
    print([`site: ${file}`, ...reports.flatMap((report) => [...hostTable(report), ...nextOf(report, argument)])]);
  if (errors.length > 0 && !found) throw together(errors);
  if (json && name === undefined) printJsonList(reports);
  else if (json && reports[0] !== undefined) await printJson(reports[0]);
  for (const { message, hint } of errors) printError(`error: ${message}; ${hint}`);
  process.exitCode = Number(found);
};

/** `warden drift`: the differences between the hosts and the site. Read-only. */
export const driftCommand = (): Command =>
  new Command("drift")
    .description("compare the hosts, or the objects in the Kubernetes cluster, with the site")
    .argument("[host]", "one host; default: every host of the site")
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .option("--cluster", "the cluster instead of the hosts: CronJobs, ConfigMaps, alert rules, and the keys of Secrets")
    .option("--json", "print { host, findings } as one JSON document; without a host, a list of them")
    .addHelpText("after", () => {
      const host = exampleHost();
      return examples([
        ["warden drift", "every host of the site"],
        [`warden drift ${host}`, "one host"],
        ["warden drift --cluster", "what was changed or deleted in the cluster; it asks with kubectl's credentials"],
        ["warden drift --json", "what a job needs; exit code 1 when something differs"],
      ]);
    })
    .action(run);
