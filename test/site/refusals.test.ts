import { parseSite, SiteError } from "../../site/load";
import { type Bent, errorsOf } from "./errors";

const host = (site: Bent, name: string): Bent => site.hosts.find((each: Bent) => each.name === name);
const service = (site: Bent, name: string): Bent => site.registry.services.find((each: Bent) => each.name === name);

/** Gives the site a registry that somebody else runs, with a probe and a clean-up. */
const withCleanUp = (site: Bent, change: (registry: Bent, probe: Bent) => void = () => {}): void => {
  const registry = {
    name: "forge",
    url: "https://git.example.org",
    role: "private",
    cleanUp: {
      schedule: { days: ["sun"], at: "03:00" },
      retention: { rules: [{ repositories: "**", keepNewest: 10 }] },
      credentials: { from: "existing-secret", secret: "forge-clean-up" },
      journalClaim: "forge-journal",
    },
  };
  const credentials = { from: "existing-secret", secret: "forge-probe" };
  const probe = { name: "forge-probe", service: "forge", periodMinutes: 30, deadlineSeconds: 600, credentials };
  site.monitoring.externalRegistries = [registry];
  site.monitoring.probes.push(probe);
  change(registry, probe);
};

/** One failing case for each rule: what is changed, and the beginning and a part of the error's line. */
const refusals: [rule: string, bend: (site: Bent) => void, path: string, says: string][] = [
  [
    "a contact that names nobody",
    (site) => {
      site.contact = { escalation: "somebody" };
    },
    "contact.owner: ",
    "a line of text that is not empty",
  ],
  [
    "a contact of two lines",
    (site) => {
      site.contact.escalation = "one\nanother";
    },
    "contact.escalation: ",
    "a line of text that is not empty",
  ],
  [
    "a host with one resolver",
    (site) => host(site, "pve").resolver.nameservers.pop(),
    "hosts[0].resolver.nameservers: ",
    "add a fallback",
  ],
  [
    "a resolver listed twice",
    (site) => {
      host(site, "pve").resolver.nameservers[1] = "192.168.1.2";
    },
    "hosts[0].resolver.nameservers: ",
    "no fallback of itself",
  ],
  [
    "more than three nameservers for glibc",
    (site) => host(site, "pve").resolver.nameservers.push("9.9.9.9", "1.1.1.1"),
    "hosts[0].resolver.nameservers: ",
    "MAXNS",
  ],
  [
    "rotate",
    (site) => {
      host(site, "pve").resolver.rotate = true;
    },
    "hosts[0].resolver.rotate: ",
    "given true",
  ],
  [
    "failover by FallbackDNS= (A)",
    (site) => {
      host(site, "registry-vm").resolver.fallbackDns = ["94.140.14.14"];
    },
    "hosts[1].resolver.fallbackDns: ",
    "never fails over",
  ],
  [
    "search domains on the link (B)",
    (site) => {
      host(site, "registry-vm").resolver.netplan.search = ["viktorbarzin.lan"];
    },
    "hosts[1].resolver.netplan.search: ",
    "asked of the fallback",
  ],
  [
    "both servers in DNS= (C)",
    (site) => {
      host(site, "registry-vm").resolver.dns = ["10.0.20.1", "94.140.14.14"];
    },
    "hosts[1].resolver.dns: ",
    "stay unknown",
  ],
  [
    "servers on the link alone (D)",
    (site) => {
      host(site, "registry-vm").resolver.netplan.nameservers = ["10.0.20.1"];
    },
    "hosts[1].resolver.netplan.nameservers: ",
    "leave it out",
  ],
  [
    "a resolved host without a drop-in (D)",
    (site) => {
      delete host(site, "registry-vm").resolver.dropIn;
    },
    "hosts[1].resolver.dropIn: ",
    "given nothing",
  ],
  [
    "a resolver address that is a name",
    (site) => {
      host(site, "pve").resolver.nameservers[0] = "pfsense.lan";
    },
    "hosts[0].resolver.nameservers[0]: ",
    'given "pfsense.lan"',
  ],
  [
    "a resolver address with too few parts",
    (site) => {
      host(site, "pve").resolver.nameservers[0] = "192.168.1";
    },
    "hosts[0].resolver.nameservers[0]: ",
    "IPv4 or IPv6",
  ],
  [
    "a host address that is none",
    (site) => {
      host(site, "pve").address = "pve";
    },
    "hosts[0].address: ",
    "IPv4 or IPv6",
  ],
  [
    "a resolver of an unknown kind",
    (site) => {
      host(site, "pve").resolver.kind = "dnsmasq";
    },
    "hosts[0].resolver.kind: ",
    '"systemd-resolved"',
  ],
  [
    "a link that nobody configures",
    (site) => {
      host(site, "registry-vm").resolver.netplan = undefined;
    },
    "hosts[1].resolver: ",
    "netplan and networkd are both left out",
  ],
  [
    "a link that two configure",
    (site) => {
      host(site, "registry-vm").resolver.networkd = { network: "10-eth0.network", interface: "eth0" };
    },
    "hosts[1].resolver: ",
    "netplan and networkd are both set",
  ],
  [
    "a file of networkd by its path",
    (site) => {
      const { resolver } = host(site, "registry-vm");
      resolver.networkd = { network: "../10-eth0.network", interface: "eth0" };
      resolver.netplan = undefined;
    },
    "hosts[1].resolver.networkd.network: ",
    "the name of the file that configures the interface",
  ],
  [
    "a netplan file elsewhere",
    (site) => {
      host(site, "registry-vm").resolver.netplan.file = "/etc/network/interfaces";
    },
    "hosts[1].resolver.netplan.file: ",
    "/etc/netplan/",
  ],
  [
    "an interface with a space",
    (site) => {
      host(site, "registry-vm").resolver.netplan.interface = "eth 0";
    },
    "hosts[1].resolver.netplan.interface: ",
    "key of the interface",
  ],
  [
    "a managed host without a resolver",
    (site) => {
      delete host(site, "pve").resolver;
    },
    "hosts[0]: ",
    "add one of the two",
  ],
  [
    "a deferred host without a reason",
    (site) => {
      host(site, "truenas").deferred = true;
    },
    "hosts[2].deferred: ",
    "given true",
  ],
  [
    "a deferred host with an empty reason",
    (site) => {
      host(site, "truenas").deferred = { reason: " " };
    },
    "hosts[2].deferred.reason: ",
    "not empty",
  ],
  [
    "a jump host without an ECDSA key",
    (site) => {
      host(site, "pve").ssh = {
        hostKey: "ecdsa-sha2-nistp256 AAAA",
        jump: { address: "192.0.2.1", hostKey: "ssh-rsa AAAAB3Nz" },
      };
    },
    "hosts[0].ssh.jump.hostKey: ",
    "ssh-keyscan -t ecdsa",
  ],
  [
    "a jump host whose key alone is pinned",
    (site) => {
      host(site, "pve").ssh = { jump: { address: "192.0.2.1", hostKey: "ecdsa-sha2-nistp256 AAAA" } };
    },
    "hosts[0].ssh: ",
    "the key of the jump host alone is pinned; allowed are both keys or neither",
  ],
  [
    "a jump host whose key alone is not pinned",
    (site) => {
      host(site, "pve").ssh = { hostKey: "ecdsa-sha2-nistp256 AAAA", jump: { address: "192.0.2.1" } };
    },
    "hosts[0].ssh: ",
    "the key of the host alone is pinned; allowed are both keys or neither",
  ],
  [
    "a user that is no user name",
    (site) => {
      host(site, "pve").ssh = { user: "root; reboot" };
    },
    "hosts[0].ssh.user: ",
    'allowed is a user name, for example "root"',
  ],
  [
    "a failover test that is neither on nor off",
    (site) => {
      host(site, "pve").resolver.failoverTest = "sometimes";
    },
    "hosts[0].resolver.failoverTest: ",
    "allowed is true or false",
  ],
  [
    "a host key that Terraform does not compare",
    (site) => {
      host(site, "pve").ssh = { hostKey: "ssh-ed25519 AAAAC3Nz" };
    },
    "hosts[0].ssh.hostKey: ",
    "ssh-keyscan -t ecdsa",
  ],
  [
    "two hosts of one name",
    (site) => {
      host(site, "pve").name = "truenas";
    },
    "site: ",
    "host truenas is declared more than once",
  ],
  [
    "two hosts of one address",
    (site) => {
      host(site, "pve").address = "10.0.10.15";
    },
    "site: ",
    "host 10.0.10.15 is declared more than once",
  ],
  [
    "a registry on an unknown host",
    (site) => {
      site.registry.host = "vm";
    },
    "site: ",
    'registry.host names the unknown host "vm"',
  ],
  [
    "a registry on a deferred host",
    (site) => {
      site.registry.host = "truenas";
    },
    "site: ",
    "which is deferred",
  ],
  [
    "a floating tag: latest",
    (site) => {
      site.registry.images.registry.tag = "latest";
    },
    "registry.images.registry.tag: ",
    "floating",
  ],
  [
    "a floating tag: 2",
    (site) => {
      site.registry.images.registry.tag = "2";
    },
    "registry.images.registry.tag: ",
    "floating",
  ],
  [
    "a floating tag: 2.8",
    (site) => {
      site.registry.images.registry.tag = "2.8";
    },
    "registry.images.registry.tag: ",
    "floating",
  ],
  [
    "a floating tag: alpine",
    (site) => {
      site.registry.images.nginx.tag = "alpine";
    },
    "registry.images.nginx.tag: ",
    "floating",
  ],
  [
    "a floating tag beside a digest",
    (site) => {
      site.registry.images.ui = {
        repository: "joxit/docker-registry-ui",
        tag: "main",
        digest: `sha256:${"a".repeat(64)}`,
      };
    },
    "registry.images.ui.tag: ",
    "floating",
  ],
  [
    "a digest that is none",
    (site) => {
      site.registry.images.ui.digest = "sha256:abc";
    },
    "registry.images.ui.digest: ",
    "64 hexadecimal",
  ],
  [
    "an nginx that cannot resolve again",
    (site) => {
      site.registry.images.nginx.tag = "1.26.3";
    },
    "registry: ",
    "1.27.3 or newer",
  ],
  [
    "a registry service out of lockstep",
    (site) => {
      service(site, "ghcr").image = "registry:3.0.0";
    },
    "registry.services[1].image: ",
    "lockstep",
  ],
  [
    "a blob cache on the private port",
    (site) => {
      service(site, "private").blobCache = true;
    },
    "registry.services[5].blobCache: ",
    "without credentials",
  ],
  [
    "a blob cache on a pull-through cache",
    (site) => {
      service(site, "ghcr").blobCache = true;
    },
    "registry.services[1].blobCache: ",
    "itself the cache",
  ],
  [
    "two services of one port",
    (site) => {
      service(site, "ghcr").port = 5050;
    },
    "registry: ",
    "port 5050 is published more than once",
  ],
  [
    "a metrics port that is taken",
    (site) => {
      service(site, "ghcr").metricsPort = 8080;
    },
    "registry: ",
    "port 8080 is published more than once",
  ],
  [
    "two services of one store",
    (site) => {
      service(site, "private").data = "/opt/registry/data/quay";
    },
    "registry: ",
    "/opt/registry/data/quay holds the data of more than one service",
  ],
  [
    "two services of one volume",
    (site) => {
      service(site, "private").volume = "images";
      service(site, "ghcr").volume = "images";
    },
    "registry: ",
    "/var/lib/docker/volumes/images/_data holds the data of more than one service",
  ],
  [
    "a service of two stores",
    (site) => {
      service(site, "private").data = "/srv/registry";
      service(site, "private").volume = "images";
    },
    "registry: ",
    "service private has both data and volume",
  ],
  [
    "a volume that cannot be one",
    (site) => {
      service(site, "private").volume = "../images";
    },
    "registry.services[5].volume: ",
    "the name of a Docker volume",
  ],
  [
    "a metrics address that is a name",
    (site) => {
      service(site, "dockerhub").metricsAddress = "localhost";
    },
    "registry.services[0].metricsAddress: ",
    "an IPv4 or IPv6 address",
  ],
  [
    "two services of one name",
    (site) => {
      service(site, "ghcr").name = "quay";
    },
    "registry: ",
    "service quay is declared more than once",
  ],
  [
    "a service that takes a container's name",
    (site) => {
      service(site, "ghcr").name = "ui";
    },
    "registry.services[1].name: ",
    '"registry-ui"',
  ],
  [
    "one file for certificate and key",
    (site) => {
      service(site, "private").tls.key = service(site, "private").tls.certificate;
    },
    "registry: ",
    "/opt/registry/tls/fullchain.pem has more than one use",
  ],
  [
    "an operator's file in the place of a generated one",
    (site) => {
      service(site, "private").htpasswd = "/opt/registry/config-ghcr.yml";
    },
    "registry: ",
    "/opt/registry/config-ghcr.yml has more than one use",
  ],
  [
    "a path that is not absolute",
    (site) => {
      site.registry.directory = "opt/registry";
    },
    "registry.directory: ",
    "absolute path",
  ],
  [
    "a path that climbs",
    (site) => {
      site.registry.directory = "/opt/../etc";
    },
    "registry.directory: ",
    "shortest form",
  ],
  [
    "a port out of range",
    (site) => {
      service(site, "ghcr").port = 70000;
    },
    "registry.services[1].port: ",
    "1 to 65535",
  ],
  [
    "the SSH port of the host",
    (site) => {
      service(site, "ghcr").port = 22;
    },
    "site: ",
    "SSH port",
  ],
  [
    "a browser of an unknown service",
    (site) => {
      site.registry.ui.browses = "gcr";
    },
    "registry: ",
    'ui.browses names "gcr"',
  ],
  [
    "a browser without an image",
    (site) => {
      delete site.registry.images.ui;
    },
    "registry: ",
    "ui is set without an image",
  ],
  [
    "an upstream with credentials",
    (site) => {
      service(site, "ghcr").upstream = "https://me:secret@ghcr.io";
    },
    "registry.services[1].upstream: ",
    "without credentials",
  ],
  [
    "no service",
    (site) => {
      site.registry.services = [];
    },
    "registry.services: ",
    "at least one service",
  ],
  [
    "a probe deadline longer than its period",
    (site) => {
      site.monitoring.probes[0].deadlineSeconds = 901;
    },
    "monitoring.probes[0]: ",
    "not below the period of 900 s",
  ],
  [
    "a probe deadline equal to its period",
    (site) => {
      site.monitoring.probes[0].deadlineSeconds = 900;
    },
    "monitoring.probes[0]: ",
    "not below the period of 900 s",
  ],
  [
    "a probe deadline that leaves no time to start and to report",
    (site) => {
      site.monitoring.probes[0].deadlineSeconds = 841;
    },
    "monitoring.probes[0]: ",
    "allowed are at most 840",
  ],
  [
    "more shards than requests under way",
    (site) => {
      Object.assign(site.monitoring.probes[0], { concurrency: 2, shards: 3 });
    },
    "monitoring.probes[0]: ",
    "allowed are at most 2",
  ],
  [
    "a period that cron cannot repeat evenly",
    (site) => {
      site.monitoring.probes[0].periodMinutes = 17;
    },
    "monitoring.probes[0].periodMinutes: ",
    "5, 10, 15, 20, 30, 60",
  ],
  [
    "a probe of an unknown service",
    (site) => {
      site.monitoring.probes[0].service = "harbor";
    },
    "site: ",
    'names the unknown service "harbor"',
  ],
  [
    "an external registry with a path",
    (site) => {
      site.monitoring.externalRegistries = [{ name: "git", url: "https://git.example.org/v2", role: "private" }];
    },
    "monitoring.externalRegistries[0].url: ",
    "a registry without a path",
  ],
  [
    "the clean-up of a cache",
    (site) =>
      withCleanUp(site, (registry) => {
        registry.role = "proxy";
      }),
    "monitoring.externalRegistries[0].cleanUp: ",
    "forge is a cache",
  ],
  [
    "a clean-up that no probe watches",
    (site) => {
      withCleanUp(site);
      site.monitoring.probes.pop();
    },
    "monitoring.externalRegistries[0].cleanUp: ",
    "no probe in the cluster verifies forge",
  ],
  [
    "a clean-up whose probe is not in the cluster",
    (site) =>
      withCleanUp(site, (_, probe) => {
        probe.runsOn = "registry-host";
        probe.credentials = { from: "file", file: "/etc/forge.env" };
      }),
    "monitoring.externalRegistries[0].cleanUp: ",
    "no probe in the cluster verifies forge",
  ],
  [
    "a clean-up whose CronJob would have too long a name",
    (site) =>
      withCleanUp(site, (registry, probe) => {
        registry.name = "a".repeat(44);
        probe.service = registry.name;
      }),
    "monitoring.externalRegistries[0].cleanUp: ",
    "allowed are at most 52 characters",
  ],
  [
    "a clean-up that is called like a probe",
    (site) =>
      withCleanUp(site, (_, probe) => {
        probe.name = "forge-clean-up";
      }),
    "monitoring.externalRegistries[0].cleanUp: ",
    "its CronJob is called forge-clean-up, and so is a probe",
  ],
  [
    "a clean-up with the account of the probe",
    (site) =>
      withCleanUp(site, (registry) => {
        registry.cleanUp.credentials.secret = "forge-probe";
      }),
    "monitoring.externalRegistries[0].cleanUp: ",
    "the Secret forge-probe is the probe's",
  ],
  [
    "a clean-up with an account on a host",
    (site) =>
      withCleanUp(site, (registry) => {
        registry.cleanUp.credentials = { from: "file", file: "/etc/forge.env" };
      }),
    "monitoring.externalRegistries[0].cleanUp.credentials",
    'from an "existing-secret" or from "variables"',
  ],
  [
    "a clean-up without a volume for its journal",
    (site) =>
      withCleanUp(site, (registry) => {
        delete registry.cleanUp.journalClaim;
      }),
    "monitoring.externalRegistries[0].cleanUp.journalClaim: ",
    "a DNS label",
  ],
  [
    "a clean-up at no time of day",
    (site) =>
      withCleanUp(site, (registry) => {
        registry.cleanUp.schedule.at = "3am";
      }),
    "monitoring.externalRegistries[0].cleanUp.schedule.at: ",
    'from "00:00" to "23:59"',
  ],
  [
    "a clean-up that keeps nothing by a rule",
    (site) =>
      withCleanUp(site, (registry) => {
        registry.cleanUp.retention.rules = [];
      }),
    "monitoring.externalRegistries[0].cleanUp.retention.rules: ",
    "at least one rule",
  ],
  [
    "a clean-up that does not wait for what its own cluster reports",
    (site) =>
      withCleanUp(site, (registry, probe) => {
        registry.cleanUp.retention.protectInUse = { clusters: ["another"], maximumAgeHours: 24 };
        probe.workloads = true;
      }),
    "monitoring.externalRegistries[0].cleanUp: ",
    'does not name "cluster"',
  ],
  [
    "an external registry that is called like a service",
    (site) => {
      site.monitoring.externalRegistries = [{ name: "ghcr", url: "https://git.example.org", role: "private" }];
    },
    "site: ",
    "has ghcr more than once",
  ],
  [
    "an external registry that is the site's own",
    (site) => {
      const url = "https://registry.viktorbarzin.me:5050";
      site.monitoring.externalRegistries = [{ name: "again", url, role: "private" }];
    },
    "site: ",
    "has registry.viktorbarzin.me:5050 more than once",
  ],
  [
    "a private registry probed without credentials",
    (site) => {
      delete site.monitoring.probes[0].credentials;
    },
    "site: ",
    "has no credentials for private",
  ],
  [
    "two probes of one service",
    (site) => {
      site.monitoring.probes.push({ ...site.monitoring.probes[0], name: "second" });
    },
    "monitoring: ",
    "private is declared more than once",
  ],
  [
    "a Secret to adopt, whose values Terraform would read",
    (site) => {
      site.monitoring.probes[0].adopt = ["secret"];
    },
    'monitoring.probes[0].adopt[0]: given "secret"; ',
    "delete the Secret",
  ],
  [
    "a probe image from the probed registry",
    (site) => {
      site.monitoring.probeImage.repository = "registry.viktorbarzin.me:5050/node";
    },
    "site: ",
    "the registry it monitors",
  ],
  [
    "an image of the maintenance from the registry that it maintains",
    (site) => {
      site.registry.images.node = { ...site.registry.images.node, repository: "registry.viktorbarzin.me:5050/node" };
    },
    "site: ",
    "registry.images.node is pulled from registry.viktorbarzin.me",
  ],
  [
    "a label value that Kubernetes refuses",
    (site) => {
      site.monitoring.rules.labels = { release: "a b" };
    },
    "monitoring.rules.labels.release: ",
    "label value",
  ],
  [
    "an unknown delivery",
    (site) => {
      site.monitoring.rules.delivery = "email";
    },
    "monitoring.rules.delivery: ",
    '"rules-file"',
  ],
  [
    "state inside cdktf.out",
    (site) => {
      site.state.directory = "cdktf.out/state";
    },
    "state.directory: ",
    "may be deleted",
  ],
  [
    "state at an absolute path",
    (site) => {
      site.state.directory = "/var/state";
    },
    "state.directory: ",
    "relative directory",
  ],
  [
    "an unknown field",
    (site) => {
      site.monitoring.pushGateway = "http://x";
    },
    "monitoring: ",
    'unknown field "pushGateway"',
  ],
  [
    "a missing section",
    (site) => {
      delete site.dns;
    },
    "dns: ",
    "given nothing",
  ],
  [
    "an image that CI pushes to a cache",
    (site) => {
      site.ci.images[0].service = "ghcr";
    },
    "site: ",
    'allowed is "private"',
  ],
  [
    "a Dockerfile outside the repository",
    (site) => {
      site.ci.images[0].dockerfile = "../Dockerfile";
    },
    "ci.images[0].dockerfile: ",
    "a path within the repository",
  ],
  [
    "a branch that is an option",
    (site) => {
      site.ci.images[0].branch = "--all";
    },
    "ci.images[0].branch: ",
    "the name of a branch",
  ],
  [
    "an image of another registry",
    (site) => {
      site.ci.images[0].repository = "ghcr.io:443/x";
    },
    "ci.images[0].repository: ",
    "without host and tag",
  ],
  [
    "a tag with a space",
    (site) => {
      site.ci.images[0].tags = ["a b"];
    },
    "ci.images[0].tags[0]: ",
    "a tag",
  ],
  [
    "a CI without an image",
    (site) => {
      site.ci.images = [];
    },
    "ci.images: ",
    "leave ci out",
  ],
  [
    "an off-site copy of any age",
    (site) => {
      site.registry.offsiteCopy.maximumAgeHours = 0;
    },
    "registry.offsiteCopy.maximumAgeHours: ",
    "a whole number of hours",
  ],
  [
    "a retention that removes every tag",
    (site) => {
      service(site, "private").retention.rules[0].keepNewest = 0;
    },
    "registry.services[5].retention.rules[0].keepNewest: ",
    "a repository never loses every tag",
  ],
  [
    "a retention without a rule",
    (site) => {
      service(site, "private").retention.rules = [];
    },
    "registry.services[5].retention.rules: ",
    "at least one rule",
  ],
  [
    "a mistyped field of a retention",
    (site) => {
      service(site, "private").retention.rules[0].keepNewst = 3;
    },
    "registry.services[5].retention.rules[0]: ",
    'unknown field "keepNewst"; allowed are repositories, keepNewest',
  ],
  [
    "a pattern that is a regular expression",
    (site) => {
      service(site, "private").retention.protect = ["v(1|2)"];
    },
    "registry.services[5].retention.protect[0]: ",
    "a pattern of tags",
  ],
  [
    "a pattern of repositories that names none",
    (site) => {
      service(site, "private").retention.rules[0].repositories = "Team/*";
    },
    "registry.services[5].retention.rules[0].repositories: ",
    "a pattern of repositories",
  ],
  [
    "what runs, asked of a cache",
    ({ monitoring: { probes } }) => {
      probes.push({ name: "cache", service: "ghcr", periodMinutes: 30, deadlineSeconds: 60, workloads: true });
    },
    "monitoring.probes[1].workloads: ",
    "ghcr is a cache, which may lack anything",
  ],
  [
    "what runs, asked by a probe that is in no cluster",
    ({ monitoring: { probes } }) => {
      Object.assign(probes[0], { runsOn: "registry-host", credentials: { from: "file", file: "/etc/probe.env" } });
    },
    "monitoring.probes[0]: ",
    "workloads are pods of a cluster; allowed on the registry host is false",
  ],
  [
    "a protection that leaves out the cluster that reports",
    (site) => {
      site.monitoring.cluster = "home";
      service(site, "private").retention.protectInUse = { clusters: ["office"], maximumAgeHours: 24 };
    },
    "registry.services[5]: ",
    'retention.protectInUse does not name "home", whose probe reports what runs; allowed is to add it to its clusters',
  ],
  [
    "a protection of no cluster",
    (site) => {
      service(site, "private").retention.protectInUse = { clusters: [], maximumAgeHours: 24 };
    },
    "registry.services[5].retention.protectInUse.clusters: ",
    "at least one cluster",
  ],
  [
    "a cluster that is protected twice",
    (site) => {
      service(site, "private").retention.protectInUse = { clusters: ["home", "home"], maximumAgeHours: 24 };
    },
    "registry.services[5].retention.protectInUse.clusters: ",
    "each cluster once",
  ],
  [
    "more clusters than are read",
    (site) => {
      const clusters = Array.from({ length: 21 }, (_, n) => `cluster-${n}`);
      service(site, "private").retention.protectInUse = { clusters, maximumAgeHours: 24 };
    },
    "registry.services[5].retention.protectInUse.clusters: ",
    "at most 20 clusters",
  ],
  [
    "a report that would be too old before it is renewed",
    (site) => {
      service(site, "private").retention.protectInUse = { clusters: ["home"], maximumAgeHours: 1 };
    },
    "registry.services[5].retention.protectInUse.maximumAgeHours: ",
    "a whole number of hours, 2 to 168",
  ],
  [
    "-m, as a rule of the retention",
    (site) => {
      service(site, "private").retention.rules[0].deleteUntagged = true;
    },
    "registry.services[5].retention.rules[0].deleteUntagged: ",
    "deletes the parts of tagged images",
  ],
  [
    "-m, as a part of the retention",
    (site) => {
      service(site, "private").retention.deleteUntagged = true;
    },
    "registry.services[5].retention.deleteUntagged: ",
    "deletes the parts of tagged images",
  ],
  [
    "-m, as a part of the maintenance",
    (site) => {
      site.registry.maintenance.deleteUntagged = false;
    },
    "registry.maintenance.deleteUntagged: ",
    "deletes the parts of tagged images",
  ],
  [
    "a retention of a cache",
    (site) => {
      service(site, "ghcr").retention = { rules: [{ repositories: "**", keepNewest: 1 }] };
    },
    "registry.services[1]: ",
    'unknown field "retention"',
  ],
  [
    "a clean-up without a retention",
    (site) => {
      delete service(site, "private").retention;
    },
    "registry: ",
    "private has no retention; allowed is a retention for each private service",
  ],
  [
    "a clean-up without a private service",
    (site) => {
      const { registry, monitoring } = site;
      registry.services = registry.services.filter(({ role }: Bent) => role === "proxy");
      Object.assign(monitoring.probes[0], { service: "ghcr", workloads: false });
      delete site.ci;
    },
    "registry: ",
    "maintenance.cleanUp is set and no service is private",
  ],
  [
    "a collection of caches where there is none",
    (site) => {
      const { registry } = site;
      registry.services = registry.services.filter(({ role }: Bent) => role === "private");
      delete registry.ui;
    },
    "registry: ",
    "maintenance.caches is set and no service is a pull-through cache",
  ],
  [
    "a maintenance without an image",
    (site) => {
      delete site.registry.images.node;
    },
    "registry: ",
    "allowed is a pinned images.node beside it",
  ],
  [
    "a maintenance with a floating image",
    (site) => {
      site.registry.images.node = { repository: "node", tag: "lts" };
    },
    "registry.images.node.tag: ",
    "a floating tag",
  ],
  [
    "two jobs at one time on a day that they share",
    (site) => {
      site.registry.maintenance.caches[0].at = "02:00";
    },
    "registry.maintenance: ",
    "more than one job begins on sun 02:00",
  ],
  [
    "one job twice at one time",
    (site) => {
      site.registry.maintenance.scan.push({ days: ["mon"], at: "02:30" });
    },
    "registry.maintenance: ",
    "more than one job begins on mon 02:30",
  ],
  [
    "a time that no clock shows",
    (site) => {
      site.registry.maintenance.cleanUp[0].at = "24:00";
    },
    "registry.maintenance.cleanUp[0].at: ",
    "a time of day",
  ],
  [
    "a day that no week has",
    (site) => {
      site.registry.maintenance.caches[0].days = ["sunday"];
    },
    "registry.maintenance.caches[0].days[0]: ",
    '"sun"',
  ],
  [
    "a day twice",
    (site) => {
      site.registry.maintenance.caches[0].days = ["sun", "sun"];
    },
    "registry.maintenance: ",
    "more than one job begins on sun 03:00",
  ],
  [
    "a job on no day",
    (site) => {
      site.registry.maintenance.caches[0].days = [];
    },
    "registry.maintenance.caches[0].days: ",
    "at least one day",
  ],
  [
    "a job without a run",
    (site) => {
      site.registry.maintenance.scan = [];
    },
    "registry.maintenance.scan: ",
    "leave the job out",
  ],
  [
    "a disk that is looked at unevenly",
    (site) => {
      site.registry.maintenance.disk.everyMinutes = 7;
    },
    "registry.maintenance.disk.everyMinutes: ",
    "allowed is one of 5, 10",
  ],
  [
    "a mistyped job",
    (site) => {
      site.registry.maintenance.cleanup = site.registry.maintenance.cleanUp;
    },
    "registry.maintenance: ",
    'unknown field "cleanup"',
  ],
  [
    "a credentials file that is a generated one",
    (site) => {
      site.registry.maintenance.credentialsFile = "/opt/registry/maintenance.sh";
    },
    "registry: ",
    "path /opt/registry/maintenance.sh has more than one use",
  ],
  [
    "a Pushgateway with credentials",
    (site) => {
      site.registry.maintenance.pushgateway = "http://me:secret@push:9091";
    },
    "registry.maintenance.pushgateway: ",
    "without credentials",
  ],
  [
    "an empty text that would disable every cron entry",
    (site) => {
      site.registry.maintenance.replaces = [" "];
    },
    "registry.maintenance.replaces[0]: ",
    "not empty",
  ],
];

describe("the site refuses", () => {
  test.each(refusals)("%s", (_rule, bend, path, says) => {
    const errors = errorsOf("reference", bend);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(says);
    expect(errors[0]?.startsWith(path)).toBe(true);
  });

  test("every error at once, one line each", () => {
    const all = refusals.filter(([rule]) =>
      [
        "a host with one resolver",
        "rotate",
        "a floating tag: 2",
        "two services of one port",
        "an unknown field",
        "a missing section",
        "a deferred host without a reason",
        "a probe deadline longer than its period",
      ].includes(rule),
    );
    expect(all).toHaveLength(8);
    const errors = errorsOf("reference", (site) => {
      for (const [, bend] of all) bend(site);
    });
    expect(errors).toHaveLength(all.length);
    for (const [, , path, says] of all)
      expect(errors.filter((error) => error.startsWith(path) && error.includes(says))).toHaveLength(1);
    for (const error of errors) expect(error).toMatch(/^[^A-Z\n]+: [^\n]*allowed (is|are|only) [^\n]*[^.\n]$/);
  });

  test("anything that is no site, without throwing anything else", () => {
    for (const nonsense of [undefined, null, 1, "site", [], {}, { hosts: null }, { hosts: [null], registry: [] }])
      expect(() => parseSite(nonsense)).toThrow(SiteError);
  });
});
