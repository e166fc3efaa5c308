import { allowedAge } from "../../site/maintenance";
import { type CleanedUp, cleanUps, type MonitoredSite, serviceInstance } from "../../site/schema";
import { type Alert, clusterLabel, type Family, HOUR } from "../alert";
import { CLEAN_UP_JOB, type CleanUpMetricName } from "../metrics";
import { lastKnown, selector } from "../promql";

/** Identifies a report; the selector already fixes the cluster. */
const REPORT = "job, instance";

const LAST_SUCCESS = "registry_clean_up_last_success_timestamp_seconds";

const alertsAbout = (site: MonitoredSite, { service, cleanUp, probe }: CleanedUp): Alert[] => {
  const labels = { ...clusterLabel(site), job: CLEAN_UP_JOB, instance: serviceInstance(site, service) };
  const of = (metric: CleanUpMetricName) => selector(metric, labels);
  const age = allowedAge([cleanUp.schedule]);
  const about = [{ kind: "clean-up", service, probe } as const];
  const failed: Alert = {
    name: "RegistryCleanUpFailed",
    severity: "warning",
    expr: `${lastKnown((over) => `min by (${REPORT}) (${over(of("registry_clean_up_success"))})`)} == 0`,
    after: 0,
    summary: "The clean-up of a registry refused, failed or left something broken",
    description:
      "The last clean-up of {{ $labels.instance }} did not do all of its work. It removes nothing where it does not know what runs, and its log says why.",
    about,
  };
  // A suspended clean-up is not expected to succeed.
  if (cleanUp.suspend) return [failed];
  return [
    failed,
    {
      name: "RegistryCleanUpStale",
      severity: "warning",
      // After a Pushgateway lost its data, the next run reports again.
      expr: `time() - max by (${REPORT}) (last_over_time(${of(LAST_SUCCESS)}[1d])) > ${age}`,
      after: HOUR,
      summary: "A registry was not cleaned up for longer than its schedule allows",
      description:
        "The last clean-up of {{ $labels.instance }} that did all of its work was {{ $value | humanizeDuration }} ago: the registry grows.",
      about,
    },
    {
      name: "RegistryCleanUpAbsent",
      severity: "warning",
      expr: `absent(${of("registry_clean_up_last_run_timestamp_seconds")})`,
      // The first run may be as far away as the schedule allows.
      after: age,
      summary: "The clean-up of a registry does not report",
      description:
        "The clean-up of {{ $labels.instance }} has not run since it was deployed, or its reports do not arrive.",
      about,
    },
  ];
};

/** Whether the clean-ups over HTTP succeed, and in time. */
export const cleanUpAlerts: Family = {
  name: "registry-clean-up",
  alerts: (site) => cleanUps(site).flatMap((each) => alertsAbout(site, each)),
};
