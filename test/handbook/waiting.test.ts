import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { commandsOf } from "../../handbook/document";
import { serveOnLoopback } from "../loopback";
import { pageOf } from "../pages";
import { referenceSite } from "../sites";

const bash = promisify(execFile);

/** The first command of a page that matches. */
const commandOf = (path: string, pattern: RegExp): string => {
  const found = commandsOf(pageOf(referenceSite, path)).find(({ run }) => pattern.test(run.text));
  if (found === undefined) throw new Error(`${path} has no command like ${pattern}`);
  return found.run.text;
};

describe("a command of a page waits for what the one before it has started", () => {
  test("the registry in a container that has just been created closes connections before it answers", async () => {
    let asked = 0;
    const { url, stop } = await serveOnLoopback((request, response) => {
      asked += 1;
      if (asked === 1) request.socket.destroy();
      else response.end('{"repositories":["a"]}');
    });
    try {
      const command = commandOf("runbooks/upgrade-registry.md", /^curl /).replace("http://127.0.0.1:15000", url);
      const { stdout, stderr } = await bash("bash", ["-c", command]);
      expect([stdout, stderr, asked]).toEqual(['{"repositories":["a"]}', "", 2]);
    } finally {
      await stop();
    }
  });

  test("the log of a pod that has no node yet is empty, and is refused while its image is pulled", async () => {
    const command = commandOf("alerts/RegistryIntegrityProbeDead.md", / logs --follow /);
    const cluster = `
calls=$(mktemp)
trap 'rm "$calls"' EXIT
sleep() { :; }
kubectl() {
  echo >>"$calls"
  case $(wc -l <"$calls") in
  1) return 0 ;;
  2) echo 'container is waiting to start: ContainerCreating' >&2; return 1 ;;
  *) printf 'registry\\nresult\\n' ;;
  esac
}
${command}
wc -l <"$calls"`;
    const { stdout, stderr } = await bash("bash", ["-c", cluster]);
    expect([stdout, stderr]).toEqual(["registry\nresult\n3\n", "container is waiting to start: ContainerCreating\n"]);
  });
});
