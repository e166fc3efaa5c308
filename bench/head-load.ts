import { readFileSync } from "node:fs";
import { connect } from "node:net";

/**
 * A bare load generator: sends HEAD for each path of a file once over kept-alive connections and does nothing with the
 * answers but count them. It is the limit that a walk is measured against.
 *
 * usage: head-load HOST PORT FILE CONNECTIONS
 */
const [host = "", port = "", file = "", connections = ""] = process.argv.slice(2);
const paths = readFileSync(file, "utf8").split("\n").filter(Boolean);
const ACCEPT = [
  "oci.image.index.v1",
  "oci.image.manifest.v1",
  "docker.distribution.manifest.list.v2",
  "docker.distribution.manifest.v2",
]
  .map((type) => `application/vnd.${type}+json`)
  .join(", ");
const END = "\r\n\r\n";
let next = 0;
let refused = 0;
let failed = false;

function open(): void {
  const socket = connect({ host, port: Number(port), noDelay: true });
  let seen = "";
  const send = (): void => {
    const path = paths[next++];
    if (path === undefined) socket.end();
    else socket.write(`HEAD ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nAccept: ${ACCEPT}${END}`);
  };
  socket.setEncoding("latin1");
  socket.on("connect", send);
  socket.on("data", (piece: string) => {
    seen += piece;
    if (!seen.endsWith(END)) return;
    if (!seen.startsWith("HTTP/1.1 200")) refused++;
    seen = "";
    send();
  });
  socket.on("error", () => {
    failed = true;
  });
}

for (let each = 0; each < Number(connections); each++) open();
process.on("exit", () => {
  if (failed || refused > 0) process.exitCode = 1;
});
