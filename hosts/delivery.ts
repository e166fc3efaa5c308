import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../package.json";
import type { ManagedHost } from "../site/host";
import { quote } from "../text/shell-word";
import { GENERATED } from "./generated";
import { assignments, type Settings } from "./shell";

/** A file that is ours as a whole, owned by root. */
export interface DeliveredFile {
  readonly path: string;
  /** Octal, for example "0644". */
  readonly mode: string;
  readonly content: string;
  /**
   * How the plan shows the content. A bundle is no text that anybody reads: its digest stands for it, in the state too.
   * @default "text"
   */
  readonly shown?: "text" | "digest";
}

/** A symbolic link that is ours. */
export interface DeliveredLink {
  readonly path: string;
  readonly target: string;
}

/** What one transaction brings to one host. */
export interface Delivery {
  /** Its name on the host: the state is in /var/lib/registry-warden/<name>. */
  readonly name: "dns" | "registry";
  readonly host: ManagedHost;
  /** In the order in which they are put in place. */
  readonly files: readonly DeliveredFile[];
  readonly links: readonly DeliveredLink[];
  /** Made where they do not exist, and never removed once there is something in them. */
  readonly directories: readonly string[];
  /** Where the archives of what was there before go: `<backups>-YYYYMMDD-HHMMSS.tar.gz`, in UTC. */
  readonly backups: string;
  /** Parts of files that belong to the host, by what the plan calls them. They are edited, never replaced. */
  readonly parts: Readonly<Record<string, string>>;
  /** What the program below has to know. */
  readonly settings: Settings;
  /** The shell files beside this one that know how to check, activate and verify: see transaction.sh for their functions. */
  readonly programs: readonly string[];
}

/** A part of the script: literal text, one of the inputs, or the digest of them all in hexadecimal digits. */
export type ScriptPart =
  | { readonly text: string }
  | { readonly input: string; readonly as: "text" | "base64" }
  | { readonly digest: "inputs" };

/** The text of a shell file beside this one. */
const shellFile = (name: string): string => readFileSync(join(__dirname, name), "utf8");

/** A program for a host: the shell files beside this one, in the order given, after what all of them have in common. */
export const hostProgram = (...names: readonly string[]): string => ["core.sh", ...names].map(shellFile).join("\n");

const program = (delivery: Delivery): string => hostProgram("transaction.sh", ...delivery.programs);

/** `sha256:` and the digest of a text in hexadecimal digits. */
export const digest = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

const SETTINGS = "settings";
const PROGRAM = "program";
const VERSION = "version";

/**
 * Everything that decides what the host gets, as the plan shows it: the settings and the content of each file as text, a
 * bundle and the program as their digests. A change of any is delivered again.
 */
export const deliveryInputs = (delivery: Delivery): Record<string, string> => ({
  ...Object.fromEntries(
    delivery.files.map(({ path, content, shown }) => [path, shown === "digest" ? digest(content) : content]),
  ),
  ...delivery.parts,
  [SETTINGS]: assignments({
    DELIVERY: delivery.name,
    HOST: delivery.host.name,
    TITLE: delivery.host.title,
    BACKUPS: delivery.backups,
    FILES: delivery.files.map(({ path }) => path),
    MODES: delivery.files.map(({ mode }) => mode),
    LINKS: delivery.links.map(({ path }) => path),
    TARGETS: delivery.links.map(({ target }) => target),
    DIRECTORIES: delivery.directories,
    ...delivery.settings,
  }),
  [PROGRAM]: digest(program(delivery)),
  [VERSION]: version,
});

/** What delivers once more, also where Terraform sees no change: a host says it after it went back. */
export const deliverAgain = ({ name, host }: Pick<Delivery, "name" | "host">): string =>
  `warden deliver ${host.name} ${name}`;

/** The content of a file in base64: from the inputs, unless they have but its digest. */
const contentOf = ({ path, content, shown }: DeliveredFile): ScriptPart =>
  shown === "digest" ? { text: Buffer.from(content).toString("base64") } : { input: path, as: "base64" };

/** The digest that the plan shows of a bundle; nothing of any other file. */
const digestOf = ({ path, shown }: DeliveredFile): ScriptPart =>
  shown === "digest" ? { input: path, as: "text" } : { text: "" };

/** A bash array; no piece holds a quote. */
const list = (name: string, items: readonly ScriptPart[]): ScriptPart[] => [
  { text: `\n${name}=(\n` },
  ...items.flatMap((item): ScriptPart[] => [{ text: "  '" }, item, { text: "'\n" }]),
  { text: ")\n" },
];

/**
 * The script that runs on the host, complete in itself once the inputs are put in. Nothing is written twice: Terraform
 * puts them in from the plan, assembleScript from the delivery.
 */
export const deliveryScript = (delivery: Delivery): ScriptPart[] => [
  {
    // Its main calls by name what it is asked for.
    text: `#!/usr/bin/env bash\n${GENERATED}\n# shellcheck disable=SC2317,SC2329\n`,
  },
  { input: SETTINGS, as: "text" },
  { text: assignments({ AGAIN: deliverAgain(delivery) }) },
  { text: "VERSION=" },
  { input: VERSION, as: "text" },
  { text: "\nID=" },
  { digest: "inputs" },
  ...list("CONTENTS", delivery.files.map(contentOf)),
  ...list("DIGESTS", delivery.files.map(digestOf)),
  // One line: bash reads a script while it runs it, and another may be uploaded over it by the time it ends.
  { text: `\n${program(delivery)}\nmain "$@"; exit\n` },
];

/** The script with everything put in. */
export const assembleScript = (delivery: Delivery): string =>
  assembled(deliveryScript(delivery), deliveryInputs(delivery));

/** The script without the bundles: it can look and confirm, and of a bundle it compares the digest. */
export const inspectionScript = (delivery: Delivery): string => {
  const files = delivery.files.map((file) => (file.shown === "digest" ? { ...file, content: "" } : file));
  return assembled(deliveryScript({ ...delivery, files }), deliveryInputs(delivery));
};

const assembled = (pieces: readonly ScriptPart[], inputs: Readonly<Record<string, string>>): string =>
  pieces
    .map((piece) => {
      if ("text" in piece) return piece.text;
      if ("digest" in piece) return createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
      const input = inputs[piece.input] ?? "";
      return piece.as === "text" ? input : Buffer.from(input).toString("base64");
    })
    .join("");

/**
 * Runs a script as a program of its own: one that comes by standard input, as from `runOnHost`, cannot keep itself.
 *
 * @param command of the script, with its arguments as words of a shell
 * @param left where an earlier delivery left its program, which then does it; default: none is asked
 */
export const asProgram = (script: string, command: string, left = ""): string => `program=${quote(left)}
if [ ! -f "$program" ]; then
  program=$(mktemp) && trap 'rm -f -- "$program"' EXIT && base64 -d >"$program" <<<'${Buffer.from(script).toString("base64")}' || exit
fi
bash "$program" ${command}`;
