import { defineSite } from "../../site/schema";

/** One host with one private registry: no pull-through cache, no web UI, a Prometheus without the operator. */
export default defineSite({
  state: { backend: "local", directory: "state" },
  dns: { internal: { name: "nas.home.arpa", address: "192.0.2.20" }, external: "example.org" },
  hosts: [
    {
      name: "box",
      title: "the box under the stairs",
      address: "192.0.2.10",
      resolver: { kind: "resolv.conf", search: ["home.arpa"], nameservers: ["192.0.2.1", "9.9.9.9"] },
    },
  ],
  registry: {
    host: "box",
    directory: "/srv/registry",
    unit: "registry.service",
    project: "registry",
    network: "registry",
    images: { registry: { repository: "registry", tag: "2.8.3" }, nginx: { repository: "nginx", tag: "1.28.0" } },
    services: [
      {
        name: "home",
        role: "private",
        port: 5443,
        serverName: "registry.home.arpa",
        tls: { certificate: "/etc/ssl/registry/fullchain.pem", key: "/etc/ssl/registry/key.pem" },
        htpasswd: "/etc/registry/htpasswd",
        purgeUploadsAfterHours: 168,
      },
    ],
  },
  monitoring: {
    kubernetes: { configPath: "~/.kube/config" },
    namespace: { name: "monitoring", create: true },
    pushgateway: "http://pushgateway.monitoring:9091",
    rules: { delivery: "rules-file" },
    runbooks: "https://wiki.home.arpa/alerts",
    probeImage: { repository: "node", tag: "26.9.0-slim" },
    probes: [
      {
        name: "registry-probe",
        service: "home",
        periodMinutes: 30,
        deadlineSeconds: 600,
        credentials: { from: "variables", secret: "registry-probe", revision: 1 },
        certificateAuthority: { configMap: "home-ca", key: "ca.crt" },
      },
    ],
  },
});
