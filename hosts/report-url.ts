import { groupPath } from "../text/group-path";

/** The URL to which a host pushes its reports. @param pushgateway base URL @param labels see groupPath */
export const reportUrl = (pushgateway: string, labels: Readonly<Record<string, string | undefined>>): string =>
  `${pushgateway.replace(/\/$/, "")}/${groupPath(labels)}`;
