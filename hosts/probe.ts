import { join } from "node:path/posix";
import { imageReference } from "../site/image";
import type { HostProbe } from "../site/monitoring";
import { registryPaths } from "../site/registry";
import {
  hostProbes,
  isExternal,
  ownPushgateway,
  probedService,
  pushgatewayUrlOnHost,
  type RegistrySite,
  registryHost,
  serviceInstance,
  serviceUrl,
  wardenImage,
} from "../site/schema";
import { programOf } from "./bundle";
import { bind, type ComposeService, PUSHGATEWAY } from "./compose";
import type { DeliveredFile, DeliveredLink } from "./delivery";
import { GENERATED_COMMENT } from "./generated";
import { taskTimer, UNITS, unitArgument, unitOf } from "./systemd-unit";

/** The probe's program, relative to the checkout: the same in the cluster and on the host. */
const ENTRY = "cli/probe.ts";

/** The task of a probe on the registry host, in addition to those of the maintenance. */
const taskOf = ({ name }: { readonly name: string }): string => `probe-${name}`;

/** The timer and the service of a probe on the registry host, without the extension. */
export const probeUnit = (name: string): string => unitOf(taskOf({ name }));

const PROGRAM = "/opt/probe.mjs";
const AUTHORITY = "/etc/registry-warden/ca.pem";

/** The environment of the program; see probeSettings. */
const environment = (site: RegistrySite, probe: HostProbe): Record<string, string> => {
  const service = probedService(site, probe);
  return {
    REGISTRY: serviceUrl(site, service),
    REGISTRY_INSTANCE: serviceInstance(site, service),
    REGISTRY_ROLE: service.role,
    // The project's own Pushgateway is reached by its service name: it may be published on loopback only.
    PUSHGATEWAY: ownPushgateway(site) === undefined ? pushgatewayUrlOnHost(site) : PUSHGATEWAY.url,
    PUSHGATEWAY_JOB: probe.name,
    ...(site.monitoring?.cluster === undefined ? {} : { CLUSTER: site.monitoring.cluster }),
    CONCURRENCY: String(probe.concurrency),
    DEADLINE_SECONDS: String(probe.deadlineSeconds),
    ...(probe.certificateAuthority === undefined ? {} : { REGISTRY_CA_FILE: AUTHORITY }),
  };
};

/** Maps the name in the certificate to the host itself, whatever the resolver answers. */
const knownHosts = (site: RegistrySite, probe: HostProbe): Pick<ComposeService, "extra_hosts"> => {
  const service = probedService(site, probe);
  return !isExternal(service) && service.role === "private"
    ? { extra_hosts: [`${service.serverName}=${registryHost(site).address}`] }
    : {};
};

const probeService = (site: RegistrySite, probe: HostProbe): ComposeService => {
  const { registry } = site;
  const { credentials, certificateAuthority: authority } = probe;
  return {
    image: imageReference(wardenImage(site)),
    restart: "no",
    profiles: ["maintenance"],
    networks: [registry.network],
    ...knownHosts(site, probe),
    entrypoint: ["node", PROGRAM],
    environment: environment(site, probe),
    ...(credentials === undefined ? {} : { env_file: [credentials.file] }),
    volumes: [
      bind(registryPaths(registry.directory).probe, PROGRAM),
      ...(authority === undefined ? [] : [bind(authority.file, AUTHORITY)]),
    ],
    read_only: true,
    cap_drop: ["ALL"],
    security_opt: ["no-new-privileges:true"],
  };
};

/** The probes on the registry host, as services that are started with `run`, never with `up`. */
export const probeServices = (site: RegistrySite): Record<string, ComposeService> =>
  Object.fromEntries(hostProbes(site).map((probe) => [taskOf(probe), probeService(site, probe)]));

/** A hanging run is killed before the next one; its leftover container would block the name. */
const unit = ({ registry }: RegistrySite, probe: HostProbe): string => {
  const container = `registry-warden-${taskOf(probe)}`;
  const compose = `/usr/bin/env docker compose --project-name ${registry.project} --file ${unitArgument(registryPaths(registry.directory).compose)}`;
  const remove = `-/usr/bin/env docker rm --force ${container}`;
  return `${GENERATED_COMMENT}
[Unit]
Description=Walks the registry ${probe.service} and reports what is broken
Wants=network-online.target
After=network-online.target docker.service ${registry.unit}

[Service]
Type=oneshot
ExecStartPre=${remove}
ExecStart=${compose} run --rm --no-deps --no-TTY --quiet-pull --name ${container} ${taskOf(probe)}
ExecStopPost=${remove}
TimeoutStartSec=${Math.floor((probe.deadlineSeconds + probe.periodMinutes * 60) / 2)}
SyslogIdentifier=registry-probe
`;
};

const onCalendar = ({ periodMinutes }: HostProbe): string =>
  periodMinutes === 60 ? "*-*-* *:00:00" : `*-*-* *:00/${periodMinutes}:00`;

/** The part of the registries' delivery for the probes on their host. */
export interface ProbeDelivery {
  readonly files: readonly DeliveredFile[];
  readonly links: readonly DeliveredLink[];
  readonly secrets: readonly string[];
  /** The operator's files that contain no secret. */
  readonly certificates: readonly string[];
}

/** The program and the timers of the probes on the registry host. */
export const probeDelivery = (site: RegistrySite): ProbeDelivery => {
  const probes = hostProbes(site);
  const file = (path: string, content: string): DeliveredFile => ({ path, mode: "0644", content });
  const description = ({ service }: HostProbe) => `Walks the registry ${service}`;
  return {
    files: [
      ...(probes.length === 0
        ? []
        : [{ ...file(registryPaths(site.registry.directory).probe, programOf(ENTRY)), shown: "digest" as const }]),
      ...probes.flatMap((probe) => [
        file(join(UNITS, `${probeUnit(probe.name)}.service`), unit(site, probe)),
        file(
          join(UNITS, `${probeUnit(probe.name)}.timer`),
          taskTimer({ task: taskOf(probe), description: description(probe), onCalendar: [onCalendar(probe)] }),
        ),
      ]),
    ],
    links: probes.map(({ name }) => ({
      path: `${UNITS}/timers.target.wants/${probeUnit(name)}.timer`,
      target: `../${probeUnit(name)}.timer`,
    })),
    secrets: probes.flatMap(({ credentials }) => (credentials === undefined ? [] : [credentials.file])),
    certificates: probes.flatMap(({ certificateAuthority }) =>
      certificateAuthority === undefined ? [] : [certificateAuthority.file],
    ),
  };
};
