import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nginxConfiguration } from "../../hosts/nginx";
import type { Registry } from "../../site/registry";
import type { KeyPair } from "./certificates";
import { required } from "./components";
import { accepts, startProcess, temporaryFolder } from "./process";
import type { LabServer } from "./prometheus";

/**
 * The reverse proxy of a site with one registry, with the delivered configuration: only addresses and paths are adapted to this
 * machine.
 *
 * @param upstream `host:port` of the registry behind it
 */
export const startReverseProxy = async (registry: Registry, upstream: string, tls: KeyPair): Promise<LabServer> => {
  const [service, ...others] = registry.services;
  if (service === undefined || others.length > 0) throw new Error("the front of the lab has one registry");
  const folder = temporaryFolder("reverse-proxy");
  mkdirSync(join(folder, "temp"));
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off;\n${nginxConfiguration(registry)}`
      .replaceAll("/tmp/", `${folder}/temp/`)
      .replace("access_log /dev/stdout;", "access_log off;")
      .replace(/ssl_certificate .*;/, `ssl_certificate ${tls.certificate};`)
      .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${tls.key};`)
      .replace(/listen (\d+)/, "listen 127.0.0.1:$1")
      .replace(/server registry-\S+ resolve;/, `server ${upstream};`),
  );
  const proxy = await startProcess([...required("nginx").command, "-p", folder, "-c", join(folder, "nginx.conf")], {
    ready: () => accepts(service.port),
  });
  return {
    url: `https://127.0.0.1:${service.port}`,
    stop: async () => {
      await proxy.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
