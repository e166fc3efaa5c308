import { defineSite } from "../../site/schema";

// What the hosts share is written once.
const search: [string] = ["corp.example"];
const nameservers: [string, string] = ["10.20.0.2", "10.20.0.3"];
const ssh = { user: "deploy", identityFile: "~/.ssh/registry_ed25519" };
const resolved = (netInterface: string) => ({
  kind: "systemd-resolved" as const,
  search,
  nameservers,
  dropIn: "10-corp",
  netplan: { file: "/etc/netplan/01-static.yaml", interface: netInterface },
});

/**
 * A Debian VM with a private registry and two caches with accounts at their upstreams, monitored from k3s with
 * kube-prometheus-stack; four hosts, one of them deferred; the state in S3, the images built by GitHub Actions.
 */
export default defineSite({
  name: "company",
  state: { backend: "s3", bucket: "corp-terraform", region: "eu-central-1", keyPrefix: "registry" },
  contact: { owner: "platform team, #platform", escalation: "infrastructure's on-call phone" },
  dns: { internal: { name: "ldap.corp.example", address: "10.20.0.10" }, external: "example.org" },
  hosts: [
    { name: "registry", title: "registry VM", address: "10.20.1.10", ssh, resolver: resolved("ens192") },
    { name: "runner", title: "CI runner", address: "10.20.1.11", ssh, resolver: resolved("ens192") },
    {
      name: "esx",
      title: "virtualisation host",
      address: "10.20.1.2",
      ssh: { ...ssh, user: "root" },
      resolver: { kind: "resolv.conf", search, nameservers },
    },
    {
      name: "backup",
      title: "backup server",
      address: "10.20.2.5",
      deferred: { reason: "the firewall lets nobody in until change CHG-1042" },
    },
  ],
  registry: {
    host: "registry",
    directory: "/opt/registry",
    unit: "registry.service",
    project: "registry",
    network: "registry",
    images: {
      registry: { repository: "registry", tag: "2.8.3" },
      nginx: { repository: "nginx", tag: "1.28.0" },
      node: { repository: "node", tag: "26.9.0-slim" },
    },
    services: [
      {
        name: "dockerhub",
        role: "proxy",
        upstream: "https://registry-1.docker.io",
        port: 5000,
        credentialsFile: "/etc/registry/dockerhub.env",
      },
      {
        name: "ghcr",
        role: "proxy",
        upstream: "https://ghcr.io",
        port: 5010,
        credentialsFile: "/etc/registry/ghcr.env",
      },
      {
        name: "images",
        role: "private",
        port: 5443,
        serverName: "images.corp.example",
        tls: { certificate: "/etc/registry/tls/fullchain.pem", key: "/etc/registry/tls/key.pem" },
        htpasswd: "/etc/registry/htpasswd",
        purgeUploadsAfterHours: 72,
        retention: {
          protect: ["v*"],
          // Images in use in the cluster are kept, whatever their age.
          protectInUse: { clusters: ["k3s"], maximumAgeHours: 12 },
          rules: [{ repositories: "**", keepNewest: 20, keepYoungerThanHours: 720 }],
        },
      },
    ],
    offsiteCopy: { title: "backup server", maximumAgeHours: 24 },
    maintenance: {
      credentialsFile: "/etc/registry/maintenance.env",
      pushgateway: "http://pushgateway.corp.example:9091",
      cleanUp: [{ days: ["mon", "wed", "fri"], at: "02:00" }],
      caches: [{ days: ["sun"], at: "02:00" }],
      scan: [{ days: ["sat"], at: "02:00" }],
      disk: { everyMinutes: 15, minimumFreePercent: 15 },
    },
  },
  monitoring: {
    cluster: "k3s",
    kubernetes: { configPath: "~/.kube/k3s.yaml", context: "k3s" },
    namespace: { name: "monitoring" },
    pushgateway: "http://prometheus-pushgateway.monitoring:9091",
    rules: { delivery: "prometheus-rule", labels: { release: "kube-prometheus-stack" } },
    dashboard: { labels: { grafana_dashboard: "1" } },
    runbooks: "https://git.corp.example/ops/registry/blob/main/site-docs/alerts",
    probeImage: { repository: "node", tag: "26.9.0-slim" },
    probes: [
      {
        name: "images-probe",
        service: "images",
        periodMinutes: 15,
        deadlineSeconds: 600,
        credentials: { from: "variables", secret: "images-probe", revision: 1 },
        certificateAuthority: { configMap: "corp-ca", key: "ca.crt" },
        workloads: true,
      },
      { name: "dockerhub-probe", service: "dockerhub", periodMinutes: 30, deadlineSeconds: 300 },
    ],
  },
  ci: {
    system: "github",
    secrets: { username: "REGISTRY_USER", password: "REGISTRY_PASSWORD" },
    images: [
      {
        service: "images",
        repository: "platform/builder",
        tags: ["latest"],
        commitCharacters: 12,
        dockerfile: "images/builder/Dockerfile",
        branch: "main",
      },
    ],
  },
});
