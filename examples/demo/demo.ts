import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { find } from "../../test/lab/components";
import { image, multiPlatformImage, push } from "../../test/lab/images";
import { type LabRegistry, startRegistry } from "../../test/lab/registry";

/**
 * `npm run demo`: the incident of 2026-04-19 on a real registry, from the job that caused it to the repair, and the job
 * that replaces it. Everything is on loopback and in a temporary folder, and removed at the end.
 */

const root = join(__dirname, "..", "..");
const bold = (text: string): string => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text);
const faint = (text: string): string => (process.stdout.isTTY ? `\u001b[2m${text}\u001b[0m` : text);
const say = (text = ""): void => void process.stdout.write(`${text}\n`);

let chapter = 0;
const title = (text: string): void => say(`\n${bold(`${++chapter}. ${text}`)}\n`);

/** Shows a command as it would be typed, runs it, and shows its output. */
const shown = (typed: string, program: string, args: readonly string[], expected: number): void => {
  say(faint(`$ ${typed}`));
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  say((stdout + stderr).trimEnd());
  say(faint(`exit code ${status}`));
  if (status !== expected) throw new Error(`${typed} ended with ${status}; expected was ${expected}`);
};

const warden = (expected: number, ...args: string[]): void =>
  shown(`warden ${args.join(" ")}`, process.execPath, ["--import", "tsx", "cli/warden.ts", ...args], expected);

/** A registry 2.8.3, fetched if it is missing. */
const needRegistry = (): void => {
  if ("command" in find("registry")) return;
  say("fetching the real registry 2.8.3 (once, some seconds)");
  spawnSync("tools/lab/setup", ["registry"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  const found = find("registry");
  if ("missing" in found)
    throw new Error(
      `the demo needs a real registry: ${found.missing}; a Debian 12 machine or container has what it takes`,
    );
};

/** Two builds of an image for two platforms each; `latest` also names the newer one. */
const fill = async ({ url }: LabRegistry): Promise<void> => {
  await push({ url }, "team/app", multiPlatformImage("build 1"), "1.0.0");
  await push({ url }, "team/app", multiPlatformImage("build 2"), "1.1.0", "latest");
  await push({ url }, "team/tool", image("tool"), "2.0.0");
};

const status = async (url: string): Promise<number> => {
  const accept = "application/vnd.oci.image.index.v1+json";
  return (await fetch(url, { method: "HEAD", headers: { accept } })).status;
};

const play = async (registry: LabRegistry, mirror: LabRegistry): Promise<void> => {
  title("A registry with four tags, all well");
  await fill(registry);
  await fill(mirror);
  warden(0, "verify", registry.url);

  title("The weekly job of the time: garbage-collect -m");
  say(faint("$ registry garbage-collect --delete-untagged config.yml"));
  const deleted =
    (await registry.collectGarbage({ deleteUntagged: true })).match(/manifest eligible for deletion/g) ?? [];
  say(`It deletes ${deleted.length} manifests without a tag: the parts of the images that have one.`);
  await registry.restart();

  title("What a monitor sees that asks for the tag alone");
  say(
    `HEAD ${registry.url}/v2/team/app/manifests/latest: ${await status(`${registry.url}/v2/team/app/manifests/latest`)}`,
  );

  title("What a pull sees, and warden");
  warden(1, "verify", registry.url);

  title("Why, and what to do");
  warden(1, "diagnose", registry.url, registry.root);

  title("Healing it from a mirror, every byte checked");
  warden(0, "repair", registry.url, "--storage", registry.root, "--from", mirror.url, "--apply");
  await registry.restart();
  warden(0, "verify", registry.url, "--blobs", "hash");

  title("The job that takes its place: keep the newest tag, with everything that it needs");
  await registry.shutDown();
  warden(0, "prune", registry.root, "--keep-newest", "1", "--apply", "--registry", registry.url);
  say(faint("\n$ registry garbage-collect config.yml"));
  const blobs = (await registry.collectGarbage()).match(/blob eligible for deletion/g) ?? [];
  say(`It frees ${blobs.length} blobs.`);
  await registry.restart();
  warden(0, "verify", registry.url, "--blobs", "hash");
  say("\nThe old images are gone, the kept ones are whole.");
};

const demo = async (): Promise<void> => {
  needRegistry();
  const [registry, mirror] = await Promise.all([startRegistry(), startRegistry()]);
  try {
    await play(registry, mirror);
  } finally {
    await Promise.all([registry.stop(), mirror.stop()]);
  }
};

demo().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
