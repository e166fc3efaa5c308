import "./deprecated-api";
import { TerraformOutput, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { HostDns, hostDnsOf } from "../constructs/host-dns";
import { literal } from "../constructs/literal";
import { deferredHosts, dnsHosts, hasDns, type Site } from "../site/schema";
import { useBackend } from "./backend";

export interface DnsStackProps {
  readonly site: Site;
}

/** The DNS configuration of every host. A deferred host is listed with its reason, and nothing is sent to it. */
export class DnsStack extends TerraformStack {
  constructor(scope: Construct, id: string, props: DnsStackProps) {
    super(scope, id);
    const { site } = props;
    useBackend(this, site);
    if (hasDns(site)) for (const host of dnsHosts(site)) new HostDns(this, host.name, hostDnsOf(site, host));
    new TerraformOutput(this, "deferred", {
      description: "hosts of the site to which nothing is sent, by name, with the reason",
      value: Object.fromEntries(deferredHosts(site).map(({ name, deferred }) => [name, literal(deferred.reason)])),
    });
  }
}
