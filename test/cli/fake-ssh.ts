import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How a host answers every script. */
export interface SshAnswer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly status?: number;
  /** Printed before the script's output, as by a shell with a login banner. */
  readonly banner?: string;
  /** The host does not run the script at all. */
  readonly runs?: false;
}

/** A connection that was made. */
export interface Connection {
  readonly args: readonly string[];
  readonly input: string;
}

/** A line of a host's answer: what it is about, and each field in base64. */
export const answerLine = (kind: string, ...fields: readonly string[]): string =>
  `${kind} ${fields.map((field) => Buffer.from(field).toString("base64")).join(" ")}\n`;

// Reads all of its input first, as sshd does on a host that accepts it.
const PROGRAM = `#!/bin/sh
folder=$(dirname "$0")
call=$(mktemp -d "$folder/call-XXXXXX")
printf '%s\\0' "$@" >"$call/args"
cat >"$call/input"
for word; do case $word in *@*) host=\${word#*@} ;; esac; done
[ -d "$folder/$host" ] || { echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255; }
cat "$folder/$host/stderr" >&2
cat "$folder/$host/banner"
[ "$(cat "$folder/$host/status")" = 255 ] || [ ! -s "$folder/$host/runs" ] || echo 'registry-warden begins'
cat "$folder/$host/stdout"
exit "$(cat "$folder/$host/status")"
`;

/** A fake ssh, first on PATH, whose hosts give prepared answers; a host without one is unreachable. */
export class FakeSsh {
  readonly #folder = mkdtempSync(join(tmpdir(), "fake-ssh-"));
  readonly #path = process.env.PATH;

  constructor() {
    const program = join(this.#folder, "ssh");
    writeFileSync(program, PROGRAM);
    chmodSync(program, 0o755);
    process.env.PATH = `${this.#folder}:${this.#path}`;
  }

  answer(address: string, { stdout = "", stderr = "", status = 0, banner = "", runs }: SshAnswer): void {
    const folder = join(this.#folder, address);
    if (!existsSync(folder)) mkdirSync(folder);
    for (const [name, content] of Object.entries({
      stdout,
      stderr,
      status: String(status),
      banner,
      runs: runs === false ? "" : "yes",
    }))
      writeFileSync(join(folder, name), content);
  }

  connections(): Connection[] {
    return readdirSync(this.#folder)
      .filter((name) => name.startsWith("call-"))
      .map((name) => ({
        args: readFileSync(join(this.#folder, name, "args"), "utf8")
          .split("\0")
          .slice(0, -1),
        input: readFileSync(join(this.#folder, name, "input"), "utf8"),
      }));
  }

  remove(): void {
    process.env.PATH = this.#path;
    rmSync(this.#folder, { recursive: true });
  }
}
