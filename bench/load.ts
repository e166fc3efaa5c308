import { readFileSync } from "node:fs";
import { connect } from "node:net";

/**
 * A bare load generator: sends each request of a file once over kept-alive connections and looks at nothing of the answers
 * but where they end. It is the limit that a walk is measured against. Prints the seconds that it took.
 *
 * usage: load HOST PORT FILE CONNECTIONS; a line of the file is `HEAD <path>`, or `GET <path> <offset of the one byte>`
 */
const [host = "", port = "", file = "", connections = ""] = process.argv.slice(2);
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
    const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nAccept: ${ACCEPT}${range}${END}`;
    return { text, body: offset === undefined ? 0 : 1 };
  });

const started = performance.now();
let next = 0;
let open = Number(connections);

for (let each = 0; each < Number(connections); each++) {
  const socket = connect({ host, port: Number(port), noDelay: true });
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
  socket.on("connect", send);
  socket.on("data", (piece: string) => {
    seen += piece;
    const end = seen.indexOf(END);
    if (end < 0 || seen.length < end + END.length + awaited) return;
    if (!seen.startsWith("HTTP/1.1 20")) throw new Error(`unexpected answer: ${seen.slice(0, 60)}`);
    send();
  });
}
