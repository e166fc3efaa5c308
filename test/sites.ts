import company from "../examples/company/site";
import forgejo from "../examples/forgejo/site";
import hostsOnly from "../examples/hosts-only/site";
import noKubernetes from "../examples/no-kubernetes/site";
import smallest from "../examples/small/site";
import { parseSite } from "../site/load";
import shipped from "../site/reference";
import type { ClusterSite, DnsSite, RegistrySite, Site, SiteInput } from "../site/schema";

/** The parts that a site may lack. */
type SitePart = "hosts" | "dns" | "registry" | "monitoring" | "ci";

/** A site, or its input, that has the given parts. */
type With<S, P extends keyof S & SitePart> = S & { [K in P]-?: NonNullable<S[K]> };

export type WholeInput = With<SiteInput, SitePart>;
export type WholeSite = With<Site, SitePart> & RegistrySite & ClusterSite & DnsSite;

/** The reference site's input, which has every part. */
export const reference = shipped as WholeInput;

/** Under which name clients use its private registry. */
export const PRIVATE_REGISTRY = "registry.viktorbarzin.me:5050";

/** The example of one host with one registry. */
export const small = smallest as WholeInput;

/** Every site that ships, by the name of its folder. */
export const SHIPPED: Readonly<Record<string, SiteInput>> = {
  reference: shipped,
  small: smallest,
  company,
  forgejo,
  "hosts-only": hostsOnly,
  "no-kubernetes": noKubernetes,
};

/** Parses a site that has every part that the test needs. */
export const parsed = (input: SiteInput): WholeSite => parseSite(input) as WholeSite;

/** The reference site. */
export const referenceSite: WholeSite = parsed(reference);
