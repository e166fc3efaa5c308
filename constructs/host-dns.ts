import { Construct } from "constructs";
import { type HostNames, hostNames, namesDelivery } from "../hosts/resolver";
import { HostDelivery } from "./host-delivery";
import type { TerraformData } from "./terraform-data";

/** Props of HostDns. */
export type HostDnsProps = HostNames;

/** The props for a host of a site. */
export const hostDnsOf = hostNames;

/** The DNS configuration of one host. */
export class HostDns extends Construct {
  /** The delivery to the host, for dependencies in either direction. */
  readonly resource: TerraformData;

  constructor(scope: Construct, id: string, props: HostDnsProps) {
    super(scope, id);
    this.resource = new HostDelivery(this, "Resource", { delivery: namesDelivery(props) }).resource;
  }
}
