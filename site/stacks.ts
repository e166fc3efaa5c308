import { deferredHosts, dnsHosts, hasCluster, hasRegistry, type Site } from "./schema";

/** The order in which the stacks are deployed. */
export const STACKS = ["dns", "registry-vm", "monitoring"] as const;
export type StackName = (typeof STACKS)[number];

/** The stacks of a site, in the order in which they are deployed, without empty ones. */
export const stacksOf = (site: Site): StackName[] => {
  const has: Record<StackName, boolean> = {
    dns: dnsHosts(site).length + deferredHosts(site).length > 0,
    "registry-vm": hasRegistry(site),
    monitoring: hasCluster(site),
  };
  return STACKS.filter((stack) => has[stack]);
};

/** Where a stack's state is stored, as its backend names it. Contains the site's name, so that two sites never collide. */
export const stateKey = ({ name, state }: Site, stack: string): string => {
  switch (state.backend) {
    case "local":
      return `${state.directory}/${name}/${stack}.tfstate`;
    case "kubernetes":
      return `${name}-${stack}`;
    case "s3":
      return [...(state.keyPrefix === undefined ? [] : [state.keyPrefix]), name, `${stack}.tfstate`].join("/");
    case "http":
      return `${state.address.replace(/\/$/, "")}/${name}/${stack}`;
  }
};
