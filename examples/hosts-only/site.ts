import { defineSite } from "../../site/schema";

// Values that the hosts of one network share are written once.
const search: [string] = ["lan.example"];
const fallback = "9.9.9.9";

/** Static hosts whose DNS was a single server: a hypervisor, a virtual machine, and a third one that is deferred. */
export default defineSite({
  state: { backend: "local", directory: "state" },
  dns: { internal: { name: "printer.lan.example", address: "192.0.2.30" }, external: "example.org" },
  hosts: [
    {
      name: "hypervisor",
      title: "hypervisor",
      address: "192.0.2.10",
      resolver: { kind: "resolv.conf", search, nameservers: ["192.0.2.1", fallback] },
    },
    {
      name: "apps",
      title: "virtual machine of the applications",
      address: "192.0.2.11",
      ssh: { user: "admin" },
      resolver: {
        kind: "systemd-resolved",
        search,
        nameservers: ["192.0.2.1", fallback],
        dropIn: "10-lan",
        netplan: { file: "/etc/netplan/50-cloud-init.yaml", interface: "ens18" },
      },
    },
    {
      name: "storage",
      title: "storage box",
      address: "192.0.2.12",
      deferred: { reason: "its owner is away until the end of the month" },
    },
  ],
});
