import { join } from "node:path/posix";
import { imageReference } from "../site/image";
import { dataDirectory, type Service } from "../site/registry";
import {
  type ProbedService,
  type RegistrySite,
  registryHost,
  type Site,
  serviceUrl,
  wardenImage,
} from "../site/schema";
import { authorityOnHost, bringAuthority, caFile, fetchAuthority } from "./authority";
import { type Block, command, type Place } from "./document";
import { onHost, sshTo, WORKSTATION } from "./places";
import { type Shell, sh } from "./prose";

/** `warden` on the workstation. */
export const wardenHere: Shell = sh`npm run -s warden --`;

/** Delivers the registries to their host again, in case Terraform sees no change. */
export const deliverRegistries = (site: RegistrySite): Block =>
  command(WORKSTATION, sh`${wardenHere} deliver ${registryHost(site).name} registry`, {
    expected: "…registry is delivered…",
  });

/** The program's path on the host: Node comes from a container, so the host needs none. */
const PROGRAM = "/root/warden.mjs";

/** Builds the program and copies it to the registry host. */
export const bringWarden = (site: RegistrySite): Block => {
  const host = registryHost(site);
  return command(WORKSTATION, sh`npm run -s build && ${sshTo(host)} ${`cat > ${PROGRAM}`} < dist/warden.mjs`);
};

/** Like bringWarden, for commands that also connect to the registry: with its private CA, and the account. */
export const bringWardenToAsk = (site: RegistrySite, ...services: readonly Service[]): Block[] => [
  bringWarden(site),
  ...services.flatMap((service) => bringAuthority(site, service)),
  askForAccount(onHost(registryHost(site))),
];

/** The path of a registry's private CA in the container. */
const AUTHORITY = "/opt/ca.pem";

/** The path of a store in the container. */
export const STORE = "/store";

/** The output of a scan of a store without findings. */
export const WHOLE_STORE = `store     ${STORE} (private)\nchecked   …\nresult    nothing wrong`;

/** What a command on a store may do besides reading it. */
interface StoreAccess {
  /** Whether it changes the store; default: it cannot. */
  readonly write?: boolean;
  /** Whether it also connects to the registry, with the account in REG_USER and REG_PASS; default: it has no network. */
  readonly network?: boolean;
  /** Whether it reads standard input; default: it does not. */
  readonly input?: boolean;
  /** Whether it connects to another registry, with the account in FROM_USER and FROM_PASS; default: it does not. */
  readonly from?: boolean;
}

/** `warden` on the registry host, with the data of one service mounted at STORE. */
export const wardenOnStore = (
  site: RegistrySite,
  service: Service,
  { write = false, network = false, input = false, from = false }: StoreAccess = {},
): Shell => {
  const data = dataDirectory(site.registry, service);
  const program = join("/opt", "warden.mjs");
  const authority = network ? authorityOnHost(site, service) : undefined;
  return sh`docker run --rm ${[
    ...(input ? [sh`--interactive`] : []),
    ...(network ? [sh`--network host --env REG_USER --env REG_PASS`] : [sh`--network none`]),
    ...(authority === undefined
      ? []
      : [sh`--env ${`NODE_EXTRA_CA_CERTS=${AUTHORITY}`} --volume ${`${authority}:${AUTHORITY}:ro`}`]),
    ...(from ? [sh`--env FROM_USER --env FROM_PASS`] : []),
    sh`--volume ${`${data}:${STORE}${write ? "" : ":ro"}`}`,
    sh`--volume ${`${PROGRAM}:${program}:ro`}`,
    imageReference(wardenImage(site)),
  ]} node ${program}`;
};

/** The output for a registry without any failure. */
export const intact = (site: Site, service: ProbedService): string =>
  `registry  ${serviceUrl(site, service)}\nchecked   …\nresult    nothing broken`;

/** Prompts for the account, and walks the whole registry from the workstation. */
export const verifyRegistry = (site: Site, service: ProbedService): Block[] => [
  ...fetchAuthority(site, service),
  ...(service.role === "private" ? [askForAccount(WORKSTATION)] : []),
  command(WORKSTATION, sh`${wardenHere} verify ${serviceUrl(site, service)} ${caFile(site, service)}`, {
    expected: intact(site, service),
  }),
];

/** Prompts for the account once, so that it is in no argument list and in no history. */
export const askForAccount = (place: Place): Block =>
  command(place, sh`read -rp 'user: ' REG_USER && read -rsp 'password: ' REG_PASS && export REG_USER REG_PASS`);
