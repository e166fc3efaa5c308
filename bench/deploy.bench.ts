import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { assembleScript } from "../hosts/delivery";
import { registryDelivery } from "../hosts/registry";
import { DnsStack } from "../stacks/dns-stack";
import { RegistryVmStack } from "../stacks/registry-vm-stack";
import { required } from "../test/lab/components";
import { Deployment } from "../test/lab/deployment";
import { Hosts } from "../test/lab/hosts";
import { account, labSite, prepareRegistryHost } from "../test/lab/registry-host";
import { parsed, type WholeInput } from "../test/sites";
import { isSkipped } from "./skip";

/** Changes the purge time of the private registry's uploads: one configuration, and therefore one container. */
const changed = (site: WholeInput): WholeInput => ({
  ...site,
  registry: {
    ...site.registry,
    services: site.registry.services.map((service) =>
      service.role === "private" ? { ...service, purgeUploadsAfterHours: 24 } : service,
    ),
  },
});

/** A hand-made stack: just the private registry, with TLS and accounts, on the data of the site's registry. */
const startOldStack = (hosts: Hosts): void => {
  hosts.ssh(
    "vm",
    `mkdir -p /root/old && cd /root/old && cat >compose.yml && cat >config.yml <<'END'
version: 0.1
storage: { filesystem: { rootdirectory: /var/lib/registry } }
http: { addr: ":5050", tls: { certificate: /tls/fullchain.pem, key: /tls/privkey.pem } }
auth: { htpasswd: { realm: old, path: /auth/htpasswd } }
END
docker compose --project-name registry up --detach --pull never`,
    JSON.stringify({
      services: {
        "registry-private": {
          image: "registry:2.8.3",
          container_name: "registry-private",
          ports: ["5050:5050"],
          volumes: [
            "/opt/registry/data/private:/var/lib/registry",
            "/opt/registry/tls:/tls:ro",
            "/opt/registry/htpasswd:/auth/htpasswd:ro",
            "/root/old/config.yml:/etc/docker/registry/config.yml:ro",
          ],
        },
      },
    }),
  );
};

/**
 * The longest time for which a client that polls the catalog got no answer (seconds), while some work is done.
 *
 * @throws Error if it never got one
 */
const gapDuring = async (hosts: Hosts, work: () => Promise<void>): Promise<number> => {
  const ask = `curl -sk -m 2 -o /dev/null -w '%{http_code}' -u "$ACCOUNT" https://10.0.20.10:5050/v2/_catalog`;
  const loop = spawn(
    hosts.program,
    ["op", "bash", "-c", `while :; do printf '%s %s\\n' "$EPOCHREALTIME" "$(${ask})"; sleep 0.02; done`],
    {
      env: { ...hosts.environment, ACCOUNT: `${account.username}:${account.password}` },
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    },
  );
  const served: number[] = [];
  createInterface({ input: loop.stdout }).on("line", (line) => {
    const [at = "", status] = line.split(" ");
    if (status === "200") served.push(Number(at));
  });
  const until = async (reached: () => boolean) => {
    for (const end = Date.now() + 60_000; !reached(); ) {
      if (Date.now() > end) throw new Error("the private registry does not serve");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  try {
    await until(() => served.length > 10);
    await work();
    const so = served.length;
    await until(() => served.length > so + 10);
  } finally {
    if (loop.pid !== undefined) process.kill(-loop.pid);
  }
  return Math.max(...served.slice(1).map((at, index) => at - (served[index] ?? at)));
};

/**
 * The duration of a deployment of the reference site, by Terraform over SSH to the two hosts of the lab, including
 * their checks of DNS and of the failover. "Delivered again" is a replaced resource: the host compares everything and
 * changes nothing.
 */
export const runBench = async (): Promise<void> => {
  if (isSkipped("hosts", "terraform", "nginx", "registry", "openssl")) return;
  const terraform = required("terraform");
  const hosts = new Hosts();
  const dns = new Deployment(hosts, terraform, "dns", (app, site) => new DnsStack(app, "dns", { site }));
  const registries = new Deployment(
    hosts,
    terraform,
    "registry-vm",
    (app, site) => new RegistryVmStack(app, "registry-vm", { site }),
  );
  hosts.up();
  try {
    const prepared = await prepareRegistryHost(hosts, { nginx: required("nginx"), registry: required("registry") });
    try {
      const site = labSite(hosts);
      const row = (name: string, seconds: number): void => {
        process.stdout.write(`${name.padEnd(66)}${seconds.toFixed(1).padStart(6)} s\n`);
      };
      const timed = (name: string, work: () => { status: number; output: string }): void => {
        const started = performance.now();
        const { status, output } = work();
        if (status !== 0) throw new Error(`${name}: ${output}`);
        row(name, (performance.now() - started) / 1000);
      };
      const again = (stack: Deployment) => stack.resources().map((address) => `-replace=${address}`);
      timed("dns, both hosts, first deploy", () => dns.apply(site));
      timed("dns, both hosts, deploy without a change", () => dns.apply(site));
      timed("dns, both hosts, delivered again without a change", () => dns.apply(site, ...again(dns)));
      startOldStack(hosts);
      const script = assembleScript(registryDelivery(parsed(site)));
      hosts.ssh("vm", "cat >/root/takeover.sh", script);
      const gap = await gapDuring(hosts, async () => {
        const [program, args, env] = hosts.sshCommand(
          "vm",
          "bash /root/takeover.sh apply && bash /root/takeover.sh confirm",
        );
        const takeover = spawn(program, args, { env, stdio: "ignore" });
        const status = await new Promise((resolve) => takeover.on("exit", resolve));
        if (status !== 0) throw new Error(`the takeover ended with ${status}`);
      });
      row("a private registry is taken over: its clients wait, at most", gap);
      hosts.ssh("vm", "bash /var/lib/registry-warden/registry/delivery.sh rollback");
      hosts.ssh("vm", "cd /root/old && docker compose --project-name registry down");
      timed("registry-vm, eight services, first deploy", () => registries.apply(site));
      timed("registry-vm, deploy without a change", () => registries.apply(site));
      timed("registry-vm, delivered again without a change", () => registries.apply(site, ...again(registries)));
      timed("registry-vm, deploy that changes one service", () => registries.apply(changed(site)));
      timed("both stacks, deploy without a change", () => {
        const first = dns.apply(site);
        return first.status === 0 ? registries.apply(changed(site)) : first;
      });
    } finally {
      prepared.remove();
    }
  } finally {
    dns.remove();
    registries.remove();
    hosts.down();
  }
};
