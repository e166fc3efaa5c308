import { SiteError } from "../site/load";
import type { RetentionPolicy } from "../site/retention";
import { isMonitored, privateServices, type Site, serviceUrl } from "../site/schema";
import { selectedSite } from "./selected-site";

/** A site's settings of a registry that can be cleaned up over HTTP. */
export interface SiteRegistry {
  readonly url: string;
  /** Undefined if the site has no retention for it. */
  readonly retention: RetentionPolicy | undefined;
  /** Empty if its catalog is read. */
  readonly repositories: readonly string[];
  readonly rate: number | undefined;
}

/**
 * A registry of the site, by name.
 *
 * @param option the value of --site
 * @param changes whether something is removed from it
 * @throws SiteError if the site has no registry of that name, and as selectedSite
 */
export const siteRegistry = (name: string, option: string | undefined, changes: boolean): SiteRegistry => {
  const { site, file } = selectedSite(option, { changes });
  const known = registriesOf(site);
  const found = known.get(name);
  if (found !== undefined) return found;
  throw new SiteError([
    `unknown registry ${JSON.stringify(name)}; ${file} has ${[...known.keys()].join(", ") || "none"}, and a storage root is given with a slash: ./${name}`,
  ]);
};

const registriesOf = (site: Site): Map<string, SiteRegistry> => {
  const probes = site.monitoring?.probes ?? [];
  const asProbed = (name: string): Pick<SiteRegistry, "repositories" | "rate"> => {
    const probe = probes.find(({ service }) => service === name);
    return { repositories: probe?.repositories ?? [], rate: probe?.rate };
  };
  const external = isMonitored(site) ? site.monitoring.externalRegistries : [];
  return new Map([
    ...privateServices(site.registry).map(
      (service) =>
        [
          service.name,
          { url: serviceUrl(site, service), retention: service.retention, ...asProbed(service.name) },
        ] as const,
    ),
    ...external
      .filter(({ role }) => role === "private")
      .map(({ name, url, cleanUp }) => [name, { url, retention: cleanUp?.retention, ...asProbed(name) }] as const),
  ]);
};
