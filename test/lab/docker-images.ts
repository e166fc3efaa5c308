import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { imageReference, type PinnedImage } from "../../site/image";
import type { Registry } from "../../site/registry";
import { quote } from "../../text/shell-word";
import type { Component } from "./components";
import type { Hosts } from "./hosts";

/** Creates the root of an image on the VM: busybox and other programs, each with its libraries. */
const ROOT = `
set -eu
with_libraries() {
  cp --dereference "$1" "$2"
  ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" ".$library"
  done
}
new_root() {
  rm -rf /tmp/image && mkdir -p /tmp/image && cd /tmp/image
  mkdir -p bin tmp run var/lib var/log/nginx var/lib/nginx etc/nginx usr/lib64
  [ -e lib64 ] || ln -s usr/lib64 lib64
  printf 'root:x:0:0::/:/bin/sh\\nnobody:x:65534:65534::/:/bin/sh\\n' >etc/passwd
  printf 'root:x:0:\\nnogroup:x:65534:\\nnobody:x:65533:\\n' >etc/group
}
with_busybox() {
  with_libraries /usr/bin/busybox bin/busybox
  for applet in sh wget grep cat sleep httpd; do ln -s busybox "bin/$applet"; done
}
`;

const imported = (reference: string, ...changes: string[]): string =>
  `tar -c . | docker import ${changes.map((change) => `--change '${change}'`).join(" ")} - '${reference}' >/dev/null`;

/** The real registry of the next major version, with its image's own configuration, which requires no password. */
export const importNextRegistry = (hosts: Hosts, { command: [path] }: Component, reference: string): void => {
  hosts.ssh("vm", "cat >/tmp/registry-v3 && chmod 0755 /tmp/registry-v3", readFileSync(path));
  hosts.ssh(
    "vm",
    `${ROOT}
new_root
with_busybox
mv /tmp/registry-v3 bin/registry
mkdir -p etc/distribution
cat >etc/distribution/config.yml <<'END'
version: 0.1
storage: { filesystem: { rootdirectory: /var/lib/registry } }
http: { addr: ":5000" }
END
${imported(reference, 'ENTRYPOINT ["/bin/registry", "serve"]', 'CMD ["/etc/distribution/config.yml"]')}`,
  );
};

/**
 * Imports the site's images into the VM's Docker: the real registry 2.8.3 from the VM's Debian, the lab's nginx, and
 * for the web UI something that listens; Node is that of this machine. They have the names from the site, and nothing
 * is pulled.
 */
export const importImages = (hosts: Hosts, nginx: Component, { images }: Registry): void => {
  hosts.ssh(
    "vm",
    `${ROOT}
new_root
with_busybox
with_libraries /usr/bin/docker-registry bin/registry
${imported(imageReference(images.registry), 'ENTRYPOINT ["/bin/registry", "serve"]', 'CMD ["/etc/docker/registry/config.yml"]')}
${
  images.ui === undefined
    ? ""
    : `new_root
with_busybox
${imported(imageReference(images.ui), 'CMD ["/bin/httpd", "-f", "-p", "80"]')}`
}`,
  );
  // The lab's nginx is a folder with its own libc, which becomes the image.
  const folder = /(\S+)\/usr\/sbin\/nginx/.exec(readFileSync(nginx.command[0], "utf8"))?.[1];
  if (folder === undefined) throw new Error(`${nginx.command[0]} names no folder of nginx`);
  const archive = execFileSync("tar", ["-C", folder, "-c", "usr"], { maxBuffer: 1 << 27 });
  hosts.ssh("vm", "rm -rf /tmp/nginx && mkdir /tmp/nginx && tar -C /tmp/nginx -x", archive);
  hosts.ssh(
    "vm",
    `${ROOT}
new_root
cp -a /tmp/nginx/usr .
[ -e usr/lib64/ld-linux-x86-64.so.2 ] || ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 usr/lib64/
ln -s usr/lib lib
# zlib is the one library whose package is not called lib…
cp --dereference /usr/lib/x86_64-linux-gnu/libz.so.1 usr/lib/x86_64-linux-gnu/
${imported(imageReference(images.nginx), "ENV PATH=/usr/sbin:/bin", 'CMD ["nginx", "-g", "daemon off;"]')}`,
  );
  if (images.node !== undefined) importNode(hosts, images.node);
};

/**
 * Imports a stock Node image into the VM's Docker: this machine's Node with its libraries.
 *
 * @param authority file of certificates that the image trusts; default: the public ones only
 */
export const importNode = (hosts: Hosts, node: PinnedImage, authority?: string): void => {
  const folder = mkdtempSync(join(tmpdir(), "warden-node-"));
  const libraries = [...execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/(\/\S+) \(/g)];
  for (const path of [process.execPath, ...libraries.map(([, library = ""]) => library)]) {
    const target = join(folder, path === process.execPath ? "/bin/node" : path);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(path, target, { dereference: true });
  }
  mkdirSync(join(folder, "tmp"));
  if (authority !== undefined) cpSync(authority, join(folder, "ca.crt"));
  const archive = execFileSync("tar", ["-C", folder, "-c", "."], { maxBuffer: 1 << 29 });
  rmSync(folder, { recursive: true });
  const environment = `ENV PATH=/bin${authority === undefined ? "" : " NODE_EXTRA_CA_CERTS=/ca.crt"}`;
  hosts.ssh("vm", `docker import --change ${quote(environment)} - ${quote(imageReference(node))} >/dev/null`, archive);
};

/** Imports the lab's Pushgateway into the VM's Docker, under the name from the site. */
export const importPushgateway = (hosts: Hosts, { command: [path] }: Component, image: PinnedImage): void => {
  hosts.ssh("vm", "cat >/tmp/pushgateway && chmod 0755 /tmp/pushgateway", readFileSync(path));
  hosts.ssh(
    "vm",
    `${ROOT}
new_root
with_busybox
with_libraries /tmp/pushgateway bin/pushgateway
rm /tmp/pushgateway
${imported(imageReference(image), 'ENTRYPOINT ["/bin/pushgateway"]')}`,
  );
};
