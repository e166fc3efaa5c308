import { hasResolver, type ManagedHost } from "../site/host";
import { hasDns, runsRegistry, type Site } from "../site/schema";
import type { Delivery } from "./delivery";
import { registryDelivery } from "./registry";
import { dnsDelivery } from "./resolver";

/** Everything that is delivered to a host, in the order in which it is. */
export const deliveriesTo = (site: Site, host: ManagedHost): Delivery[] => [
  ...(hasDns(site) && hasResolver(host) ? [dnsDelivery(site, host)] : []),
  ...(runsRegistry(site, host) ? [registryDelivery(site)] : []),
];

/** Relative to the checkout: the synthesised stack that brings a delivery to its host. */
export const stackFolder = ({ name }: Delivery): string => `cdktf.out/stacks/${name === "dns" ? "dns" : "registry-vm"}`;
