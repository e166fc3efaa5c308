import { defineSite } from "./schema";

// Values that two hosts share. Each value of the site is written exactly once, here or below.
const publicResolver = "94.140.14.14";
const internalDomain = "viktorbarzin.lan";
const tls = "/opt/registry/tls";
const node = { repository: "node", tag: "26.9.0-slim" };

/** The site that ships with the product: its example, its test input, and the default if no site is selected. */
export default defineSite({
  name: "reference",
  state: { backend: "local", directory: "state" },
  contact: { owner: "whoever is on call for the cluster", escalation: "the maintainer of this repository" },

  dns: {
    internal: { name: `idrac.${internalDomain}`, address: "192.168.1.4" },
    external: "github.com",
  },

  hosts: [
    {
      name: "pve",
      title: "Proxmox host",
      address: "192.168.1.127",
      resolver: {
        kind: "resolv.conf",
        search: [internalDomain],
        nameservers: ["192.168.1.2", publicResolver],
        timeout: 2,
        attempts: 2,
      },
    },
    {
      name: "registry-vm",
      title: "registry VM",
      address: "10.0.20.10",
      resolver: {
        kind: "systemd-resolved",
        search: [internalDomain],
        nameservers: ["10.0.20.1", publicResolver],
        dropIn: "10-internal-dns",
        netplan: { file: "/etc/netplan/50-cloud-init.yaml", interface: "eth0" },
      },
    },
    {
      name: "truenas",
      title: "TrueNAS",
      address: "10.0.10.15",
      deferred: { reason: 'unreachable when the change was made ("No route to host" on 10.0.10.0/24)' },
    },
  ],

  registry: {
    host: "registry-vm",
    directory: "/opt/registry",
    unit: "docker-compose-registry.service",
    project: "registry",
    network: "registry",
    images: {
      registry: { repository: "registry", tag: "2.8.3" },
      nginx: { repository: "nginx", tag: "1.28.0" },
      ui: { repository: "joxit/docker-registry-ui", tag: "2.5.7" },
      node,
    },
    services: [
      { name: "dockerhub", role: "proxy", upstream: "https://registry-1.docker.io", port: 5000, metricsPort: 5001 },
      { name: "ghcr", role: "proxy", upstream: "https://ghcr.io", port: 5010 },
      { name: "quay", role: "proxy", upstream: "https://quay.io", port: 5020 },
      { name: "k8s", role: "proxy", upstream: "https://registry.k8s.io", port: 5030 },
      { name: "kyverno", role: "proxy", upstream: "https://reg.kyverno.io", port: 5040 },
      {
        name: "private",
        role: "private",
        port: 5050,
        serverName: "registry.viktorbarzin.me",
        tls: { certificate: `${tls}/fullchain.pem`, key: `${tls}/privkey.pem` },
        htpasswd: "/opt/registry/htpasswd",
        purgeUploadsAfterHours: 168,
        retention: { protect: ["latest"], rules: [{ repositories: "**", keepNewest: 10 }] },
      },
    ],
    ui: { port: 8080, browses: "dockerhub" },
    offsiteCopy: { title: "Synology", maximumAgeHours: 24 },
    maintenance: {
      credentialsFile: "/opt/registry/maintenance.env",
      // A name that the host can resolve; the one of monitoring.pushgateway resolves in the cluster only.
      pushgateway: `http://pushgateway.${internalDomain}:9091`,
      cleanUp: [{ days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], at: "02:00" }],
      caches: [{ days: ["sun"], at: "03:00" }],
      scan: [
        { days: ["mon", "tue", "wed", "thu", "fri", "sat"], at: "02:30" },
        { days: ["sun"], at: "03:30" },
      ],
      disk: { everyMinutes: 15, minimumFreePercent: 10 },
      replaces: ["/opt/registry/cleanup-tags.sh", "/opt/registry/fix-broken-blobs.sh"],
    },
  },

  monitoring: {
    kubernetes: { configPath: "~/.kube/config" },
    namespace: { name: "monitoring" },
    pushgateway: "http://prometheus-prometheus-pushgateway.monitoring:9091",
    rules: { delivery: "prometheus-rule", labels: { release: "prometheus" } },
    dashboard: { labels: { grafana_dashboard: "1" } },
    runbooks: "https://github.com/registry-warden/registry-warden/blob/main/docs/alerts",
    probeImage: node,
    probes: [
      {
        name: "registry-integrity-probe",
        service: "private",
        periodMinutes: 15,
        deadlineSeconds: 720,
        credentials: { from: "existing-secret", secret: "registry-probe-credentials" },
        workloads: true,
      },
    ],
  },

  ci: {
    system: "woodpecker",
    buildPlugin: { repository: "woodpeckerci/plugin-docker-buildx", tag: "6.1.1" },
    secrets: { username: "registry_user", password: "registry_password" },
    images: [
      {
        service: "private",
        repository: "infra-ci",
        tags: ["latest"],
        commitCharacters: 8,
        dockerfile: "ci/Dockerfile",
        branch: "master",
      },
    ],
  },
});
