import { type Alert, DAY, type Family } from "../alert";
import { authoritativeWatchesOf, reported, subjectOf, type Watch } from "../watched";

const alertsAbout = (watch: Watch): Alert[] => {
  const expiry = reported(watch, "registry_manifest_integrity_certificate_expiry_timestamp_seconds");
  const about = watch.registries.map(subjectOf);
  return [
    {
      name: "RegistryCertificateExpiresSoon",
      severity: "warning",
      expr: `${expiry} - time() < ${14 * DAY}`,
      after: 2 * watch.period,
      summary: "The registry's certificate was not renewed",
      description: "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}.",
      about,
    },
    {
      name: "RegistryCertificateExpiryImminent",
      severity: "critical",
      expr: `${expiry} - time() < ${3 * DAY}`,
      after: 2 * watch.period,
      summary: "The registry's certificate is about to expire",
      description:
        "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}; from then on every pull and push fails.",
      about,
    },
  ];
};

/** Whether the certificate that a registry serves is renewed in time. */
export const certificateAlerts: Family = {
  name: "registry-certificate",
  alerts: (site) => authoritativeWatchesOf(site).flatMap(alertsAbout),
};
