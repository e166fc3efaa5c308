import { join } from "node:path/posix";
import { hasCluster, hasRegistry, type ProbedService, registryHost, type Site, serviceInstance } from "../site/schema";
import { kubectl } from "./cluster";
import { type Block, command, paragraph } from "./document";
import { onHost, sshTo, WORKSTATION } from "./places";
import { md, type Shell, sh } from "./prose";

type Named = Pick<ProbedService, "name">;

/** The private CA of a registry's certificate, as its probe knows it; undefined for one that everybody trusts. */
export const authorityOf = (site: Site, service: Named) =>
  site.monitoring?.probes.find((probe) => probe.service === service.name)?.certificateAuthority;

/** Where it is on the workstation: beside the site, which git leaves alone. */
const fileOf = ({ name }: Named): string => `${name}-ca.pem`;

/** An option of a command on the workstation, with the file of the CA; nothing for a registry that everybody trusts. */
const option =
  (name: string) =>
  (site: Site, service: Named): Shell[] =>
    authorityOf(site, service) === undefined ? [] : [sh`${name} ${fileOf(service)}`];

/** Has `warden` trust the registry. */
export const caFile = option("--ca-file");

/** Has curl trust the registry. */
export const cacert = option("--cacert");

/** Brings the CA to the workstation. */
export const fetchAuthority = (site: Site, service: Named): Block[] => {
  const authority = authorityOf(site, service);
  if (authority === undefined) return [];
  const print =
    "file" in authority
      ? hasRegistry(site) && sh`${sshTo(registryHost(site))} ${sh`cat ${authority.file}`.text}`
      : hasCluster(site) &&
        sh`${kubectl(site)} get configmap ${authority.configMap} --output ${`go-template={{index .data "${authority.key}"}}`}`;
  return print === false ? [] : [command(WORKSTATION, sh`${print} > ${fileOf(service)}`)];
};

/** Where it is on the registry host: the file of a probe that runs there, or what bringAuthority brings. */
export const authorityOnHost = (site: Site, service: Named): string | undefined => {
  const authority = authorityOf(site, service);
  if (authority === undefined) return undefined;
  return "file" in authority ? authority.file : join("/root", fileOf(service));
};

/** Brings it to the registry host, where it is not there. */
export const bringAuthority = (site: Site, service: Named): Block[] => {
  const path = authorityOnHost(site, service);
  const authority = authorityOf(site, service);
  if (path === undefined || authority === undefined || "file" in authority || !hasRegistry(site)) return [];
  return [
    ...fetchAuthority(site, service),
    command(WORKSTATION, sh`${sshTo(registryHost(site))} ${sh`cat > ${path}`.text} < ${fileOf(service)}`),
  ];
};

/** Has Docker on the registry host trust it. https://docs.docker.com/engine/security/certificates/ */
export const trustedByDocker = (site: Site, service: ProbedService): Block[] => {
  const path = authorityOnHost(site, service);
  if (path === undefined || !hasRegistry(site)) return [];
  return [
    paragraph(md`Docker trusts the CA of the registry from then on:`),
    ...bringAuthority(site, service),
    command(
      onHost(registryHost(site)),
      sh`install -D -m 0644 ${path} ${`/etc/docker/certs.d/${serviceInstance(site, service)}/ca.crt`}`,
    ),
  ];
};
