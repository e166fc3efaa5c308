import { hasResolver, type ManagedHost } from "../site/host";
import { hasDns, runsRegistry, type Site } from "../site/schema";
import type { Delivery } from "./delivery";
import { registryDelivery } from "./registry";
import { dnsDelivery } from "./resolver";

/** Everything that is delivered to a host, in order of delivery. */
export const deliveriesTo = (site: Site, host: ManagedHost): Delivery[] => [
  ...(hasDns(site) && hasResolver(host) ? [dnsDelivery(site, host)] : []),
  ...(runsRegistry(site, host) ? [registryDelivery(site)] : []),
];
