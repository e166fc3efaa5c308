import { Construct } from "constructs";
import { dnsDelivery } from "../hosts/resolver";
import type { DnsHost } from "../site/host";
import type { DnsSite } from "../site/schema";
import { HostDelivery } from "./host-delivery";

export interface HostDnsProps {
  /** The names by which the host verifies its DNS are the site's. */
  readonly site: DnsSite;
  readonly host: DnsHost;
}

/** The DNS configuration of one host. */
export class HostDns extends Construct {
  constructor(scope: Construct, id: string, props: HostDnsProps) {
    super(scope, id);
    new HostDelivery(this, "Resource", { delivery: dnsDelivery(props.site, props.host) });
  }
}
