import { type Alert, DAY, type Family } from "../alert";
import { lastKnown } from "../promql";
import { aboutEach, encryptedWatchesOf, REGISTRY, reported, type Watch } from "../watched";

const EXPIRY = "registry_manifest_integrity_certificate_expiry_timestamp_seconds";

const alertsAbout = (watch: Watch): Alert[] => {
  // Over all shards, and Pushgateway pods: the most recently seen certificate expires last.
  const expiry = lastKnown((over) => `max by (${REGISTRY}) (${reported(watch, EXPIRY, over)})`);
  return [
    {
      name: "RegistryCertificateExpiresSoon",
      severity: "warning",
      expr: `${expiry} - time() < ${14 * DAY}`,
      after: 2 * watch.period,
      summary: "The registry's certificate was not renewed",
      description:
        "The certificate of {{ $labels.instance }} {{ if lt $value 0.0 }}has expired{{ else }}expires in {{ $value | humanizeDuration }}{{ end }}.",
      ...aboutEach(watch),
    },
    {
      name: "RegistryCertificateExpiryImminent",
      severity: "critical",
      expr: `${expiry} - time() < ${3 * DAY}`,
      after: 2 * watch.period,
      summary: "The registry's certificate is about to expire",
      description:
        "The certificate of {{ $labels.instance }} {{ if lt $value 0.0 }}has expired: every pull and push fails{{ else }}expires in {{ $value | humanizeDuration }}; from then on every pull and push fails{{ end }}.",
      ...aboutEach(watch),
    },
  ];
};

/** Whether a registry's certificate is renewed in time. */
export const certificateAlerts: Family = {
  name: "registry-certificate",
  alerts: (site) => encryptedWatchesOf(site).flatMap(alertsAbout),
};
