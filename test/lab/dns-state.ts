import type { Hosts, LabHost } from "./hosts";

/** The files of a host that a DNS delivery may change, also temporarily: names, modes, owners, contents. */
export const filesOf = (hosts: Hosts, host: LabHost): string =>
  hosts.ssh(
    host,
    `cd /etc
     paths='resolv.conf netplan systemd/resolved.conf.d cloud/cloud.cfg.d'
     find $paths systemd/system -printf '%p %y %m %u:%g %l\\n' 2>/dev/null | sort
     find $paths -type f -exec sha256sum {} + 2>/dev/null | sort`,
  );

/** The servers and domains of systemd-resolved, if there is one; without Docker's interfaces, which come and go. */
const serversOf = (hosts: Hosts, host: LabHost): string =>
  hosts.ssh(
    host,
    "! command -v resolvectl >/dev/null || { resolvectl dns; resolvectl domain; } | grep -E '^Global|\\(eth0\\)' | sed 's/^Link [0-9]*/Link/'",
  );

/** Everything that a DNS delivery changes about a host. */
export const dnsStateOf = (hosts: Hosts, host: LabHost): string => filesOf(hosts, host) + serversOf(hosts, host);
