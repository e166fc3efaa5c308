import { Construct } from "constructs";
import { registryDelivery } from "../hosts/registry";
import type { RegistrySite } from "../site/schema";
import { HostDelivery } from "./host-delivery";
import type { TerraformData } from "./terraform-data";

export interface RegistryComposeProps {
  readonly site: RegistrySite;
}

/** The registries of the site as a compose project on their host, with their configurations and their reverse proxy. */
export class RegistryCompose extends Construct {
  readonly resource: TerraformData;

  constructor(scope: Construct, id: string, props: RegistryComposeProps) {
    super(scope, id);
    this.resource = new HostDelivery(this, "Resource", { delivery: registryDelivery(props.site) }).resource;
  }
}
