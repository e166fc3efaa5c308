import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { RegistryCompose } from "../constructs/registry-compose";
import type { RegistrySite } from "../site/schema";
import { useBackend } from "./backend";

export interface RegistryVmStackProps {
  readonly site: RegistrySite;
}

/** Everything on the registry host. Deploy it after the dns stack: the host pulls its images by name. */
export class RegistryVmStack extends TerraformStack {
  constructor(scope: Construct, id: string, props: RegistryVmStackProps) {
    super(scope, id);
    useBackend(this, props.site);
    new RegistryCompose(this, "compose", { site: props.site });
  }
}
