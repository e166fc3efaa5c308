import type { ExternalRegistry, Probe } from "../site/monitoring";
import { type MonitoredSite, serviceInstance } from "../site/schema";
import { type Block, paragraph } from "./document";
import { lastRun, runNow } from "./probe-runs";
import { md } from "./prose";
import { verifyRegistry } from "./warden";

/** A registry that the site monitors but does not run, and its probe. */
export interface WatchedElsewhere {
  readonly site: MonitoredSite;
  readonly probe: Probe;
  readonly service: ExternalRegistry;
}

/** The diagnosis for any alert about an external registry: what can be found out from here. */
export const diagnosisElsewhere = ({ site, probe, service }: WatchedElsewhere): Block[] => [
  paragraph(md`This registry is not of this site: nothing here can be done to it. What did the probe say?`),
  ...lastRun(site, probe),
  ...(service.role === "private"
    ? [paragraph(md`What does the registry say from here?`), ...verifyRegistry(site, service)]
    : []),
];

export const mitigationElsewhere = ({ site, probe, service }: WatchedElsewhere): Block[] => [
  paragraph(
    md`Tell whoever runs ${serviceInstance(site, service)}, with the output from above. A run now shows when it is over:`,
  ),
  ...runNow(site, probe),
];
