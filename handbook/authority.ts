import { join } from "node:path/posix";
import { hasCluster, hasRegistry, type ProbedService, registryHost, type Site, serviceInstance } from "../site/schema";
import { kubectl } from "./cluster";
import { type Block, command, paragraph } from "./document";
import { onHost, sshTo, WORKSTATION } from "./places";
import { md, type Shell, sh } from "./prose";

type Named = Pick<ProbedService, "name">;

/** The private CA of a registry's certificate, as configured for its probe; undefined for a publicly trusted one. */
export const authorityOf = (site: Site, service: Named) =>
  site.monitoring?.probes.find((probe) => probe.service === service.name)?.certificateAuthority;

/** Its path on the workstation: next to the site, and ignored by git. */
const fileOf = ({ name }: Named): string => `${name}-ca.pem`;

/** An option with the CA file, for a command on the workstation; empty for a publicly trusted registry. */
const option =
  (name: string) =>
  (site: Site, service: Named): Shell[] =>
    authorityOf(site, service) === undefined ? [] : [sh`${name} ${fileOf(service)}`];

/** Makes `warden` trust the registry. */
export const caFile = option("--ca-file");

/** Makes curl trust the registry. */
export const cacert = option("--cacert");

/** Copies the CA to the workstation. */
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

/** Its path on the registry host: the file of a probe there, or the one that bringAuthority copies. */
export const authorityOnHost = (site: Site, service: Named): string | undefined => {
  const authority = authorityOf(site, service);
  if (authority === undefined) return undefined;
  return "file" in authority ? authority.file : join("/root", fileOf(service));
};

/** Copies it to the registry host, if it is not there. */
export const bringAuthority = (site: Site, service: Named): Block[] => {
  const path = authorityOnHost(site, service);
  const authority = authorityOf(site, service);
  if (path === undefined || authority === undefined || "file" in authority || !hasRegistry(site)) return [];
  return [
    ...fetchAuthority(site, service),
    command(WORKSTATION, sh`${sshTo(registryHost(site))} ${sh`cat > ${path}`.text} < ${fileOf(service)}`),
  ];
};

/** Makes Docker on the registry host trust it. https://docs.docker.com/engine/security/certificates/ */
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
