import { spawn } from "node:child_process";
import { createServer, type ServerResponse } from "node:http";
import { join, resolve } from "node:path";
import { build } from "../cli/build";
import { sha256 } from "../registry/oci/digest";
import { OCI_MANIFEST } from "../registry/oci/manifest";
import { listenOnLoopback } from "../test/loopback";

const root = resolve(__dirname, "..");
/** Size of each blob in bytes, according to the registry. */
const BLOB_SIZE = 1000;

/** One repository with this many tags, each an image of its own; no blob is shared. */
interface Shape {
  tags: number;
  layersEach: number;
}

/** A million distinct objects each: many tags with few layers, and few with many. */
const SHAPES: Shape[] = [
  { tags: 200_000, layersEach: 3 },
  { tags: 20_000, layersEach: 48 },
];

const manifestOf = (tag: string, { layersEach }: Shape): string => {
  const blob = (name: string) => ({ digest: sha256(`${tag}/${name}`), size: BLOB_SIZE });
  const layers = Array.from({ length: layersEach }, (_, at) => blob(`${at}`));
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: blob("config"), layers });
};

const answer = (response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers }).end(body);
};

/** A registry that stores nothing: every object is generated on request. */
const generator = (shape: Shape) => {
  const tags = Array.from({ length: shape.tags }, (_, n) => `v${n}`);
  return createServer(({ url = "" }, response) => {
    const [, , repository, kind, reference = ""] = url.split("/");
    if (kind === "blobs") answer(response, 200, "", { "content-length": `${BLOB_SIZE}` });
    else if (kind === "manifests") {
      const manifest = manifestOf(reference, shape);
      answer(response, 200, manifest, { "content-type": OCI_MANIFEST, "docker-content-digest": sha256(manifest) });
    } else if (kind === "tags") answer(response, 200, JSON.stringify({ name: repository, tags }));
    else if (repository === "_catalog") answer(response, 200, JSON.stringify({ repositories: ["app"] }));
    else answer(response, repository === "" ? 200 : 404, "{}");
  });
};

const measure = async (shape: Shape): Promise<void> => {
  const server = generator(shape);
  const target = `http://${await listenOnLoopback(server)}`;
  const started = performance.now();
  const peakOf = ["--require", join(__dirname, "peak.cjs")];
  const program = [...peakOf, join(root, "dist/warden.mjs"), "verify", target, "--json", "--blobs", "head"];
  const child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "pipe"] });
  let [report, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (report += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const code = await new Promise((ended) => child.once("close", ended));
  server.close();
  if (code !== 0) throw new Error(`warden verify ended with ${code}: ${errors}`);
  const { counts } = JSON.parse(report) as { counts: { manifests: number; blobs: number; requests: number } };
  const peak = Number(/peak (\d+)/.exec(errors)?.[1]) / 1024;
  const took = (performance.now() - started) / 1000;
  process.stdout.write(
    `${counts.manifests + counts.blobs} objects, ${shape.tags} tags of one repository: ` +
      `${peak.toFixed(0)} MiB at most (aim: under 300 MB, which are 286 MiB), ${counts.requests} requests in ${took.toFixed(0)} s\n`,
  );
};

/** Memory of `warden verify` on a million distinct objects of one repository. */
export const runBench = async (): Promise<void> => {
  await build();
  for (const shape of SHAPES) await measure(shape);
};
