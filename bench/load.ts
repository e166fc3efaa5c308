import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { connect as connectSecurely } from "node:tls";

/**
 * A bare load generator: sends each request in a file once over kept-alive connections and only detects the end of each
 * answer. It is the limit against which a walk is measured. Prints the duration in seconds.
 *
 * usage: load HOST PORT FILE CONNECTIONS; a line of the file is `HEAD <path>`, or `GET <path> <offset of the one byte>`.
 * LOAD_AUTHORIZATION is sent as it is; LOAD_CA is the certificate authority of a server that speaks TLS.
 */
const [host = "", port = "", file = "", connections = ""] = process.argv.slice(2);
const { LOAD_AUTHORIZATION, LOAD_CA } = process.env;
const authorization = LOAD_AUTHORIZATION === undefined ? "" : `\r\nAuthorization: ${LOAD_AUTHORIZATION}`;
const authority = LOAD_CA === undefined ? undefined : readFileSync(LOAD_CA);
const ACCEPT = [
  "oci.image.index.v1",
  "oci.image.manifest.v1",
  "docker.distribution.manifest.list.v2",
  "docker.distribution.manifest.v2",
]
  .map((type) => `application/vnd.${type}+json`)
  .join(", ");
const END = "\r\n\r\n";

const requests = readFileSync(file, "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => {
    const [method = "", path = "", offset] = line.split(" ");
    const range = offset === undefined ? "" : `\r\nRange: bytes=${offset}-${offset}`;
    const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nAccept: ${ACCEPT}${authorization}${range}${END}`;
    return { text, body: offset === undefined ? 0 : 1 };
  });

const started = performance.now();
let next = 0;
let open = Number(connections);

for (let each = 0; each < Number(connections); each++) {
  const address = { host, port: Number(port), noDelay: true };
  const socket = authority === undefined ? connect(address) : connectSecurely({ ...address, ca: authority });
  let awaited = 0;
  let seen = "";
  const send = (): void => {
    const request = requests[next++];
    if (request === undefined) {
      socket.end();
      if (--open === 0) process.stdout.write(`${(performance.now() - started) / 1000}\n`);
      return;
    }
    awaited = request.body;
    seen = "";
    socket.write(request.text);
  };
  socket.setEncoding("latin1");
  socket.on(authority === undefined ? "connect" : "secureConnect", send);
  socket.on("data", (piece: string) => {
    seen += piece;
    const end = seen.indexOf(END);
    if (end < 0 || seen.length < end + END.length + awaited) return;
    if (!seen.startsWith("HTTP/1.1 20")) throw new Error(`unexpected answer: ${seen.slice(0, 60)}`);
    send();
  });
}
