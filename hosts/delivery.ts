import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../package.json";
import type { ManagedHost } from "../site/host";
import { quote } from "../text/shell-word";
import { GENERATED_COMMENT } from "./generated";
import { assignments, type Settings } from "./shell";

/** A file that is managed as a whole and owned by root. */
export interface DeliveredFile {
  readonly path: string;
  /** Octal, for example "0644". */
  readonly mode: string;
  readonly content: string;
  /**
   * How the plan shows the content. A bundle is not readable, so the plan and the state contain only its digest.
   * @default "text"
   */
  readonly shown?: "text" | "digest";
}

/** A symbolic link that is managed. */
export interface DeliveredLink {
  readonly path: string;
  readonly target: string;
}

/** What one transaction delivers to one host. */
export interface Delivery {
  /** Its name on the host: the state is in /var/lib/registry-warden/<name>. */
  readonly name: "dns" | "registry";
  readonly host: ManagedHost;
  /** In the order of installation. */
  readonly files: readonly DeliveredFile[];
  readonly links: readonly DeliveredLink[];
  /** Created if missing, and removed only while empty. */
  readonly directories: readonly string[];
  /** Path of the archives with the previous files: `<backups>-YYYYMMDD-HHMMSS.tar.gz`, in UTC. */
  readonly backups: string;
  /** Managed parts of files that belong to the host, by their name in the plan. They are edited, never replaced. */
  readonly parts: Readonly<Record<string, string>>;
  /** The settings of the program below. */
  readonly settings: Settings;
  /** The shell files in this folder that check, activate and verify: see transaction.sh for their functions. */
  readonly programs: readonly string[];
}

/** A part of the script: literal text, one of the inputs, or the hexadecimal digest of all inputs. */
export type ScriptPart =
  | { readonly text: string }
  | { readonly input: string; readonly as: "text" | "base64" }
  | { readonly digest: "inputs" };

/** The text of a shell file in this folder. */
const shellFile = (name: string): string => readFileSync(join(__dirname, name), "utf8");

/** A program for a host: shell files from this folder in the given order, after their common part. */
export const hostProgram = (...names: readonly string[]): string => ["core.sh", ...names].map(shellFile).join("\n");

const program = (delivery: Delivery): string => hostProgram("transaction.sh", ...delivery.programs);

/** `sha256:` and the digest of a text in hexadecimal digits. */
export const contentDigest = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

const SETTINGS = "settings";
const PROGRAM = "program";
const VERSION = "version";

/**
 * Everything that determines what the host gets, as shown in the plan: the settings and the contents of each file as text,
 * bundles and the program as digests. A change to any of these triggers a new delivery.
 */
export const deliveryInputs = (delivery: Delivery): Record<string, string> => ({
  ...Object.fromEntries(
    delivery.files.map(({ path, content, shown }) => [path, shown === "digest" ? contentDigest(content) : content]),
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
  [PROGRAM]: contentDigest(program(delivery)),
  [VERSION]: version,
});

/** The command that forces a new delivery even if Terraform sees no change; a host prints it after a rollback. */
export const deliverAgain = ({ name, host }: Pick<Delivery, "name" | "host">): string =>
  `warden deliver ${host.name} ${name}`;

/** The content of a file in base64: from the inputs, unless they contain only its digest. */
const contentOf = ({ path, content, shown }: DeliveredFile): ScriptPart =>
  shown === "digest" ? { text: Buffer.from(content).toString("base64") } : { input: path, as: "base64" };

/** The digest of a bundle as shown in the plan; empty for any other file. */
const digestOf = ({ path, shown }: DeliveredFile): ScriptPart =>
  shown === "digest" ? { input: path, as: "text" } : { text: "" };

/** A bash array; the items must not contain quotes. */
const list = (name: string, items: readonly ScriptPart[]): ScriptPart[] => [
  { text: `\n${name}=(\n` },
  ...items.flatMap((item): ScriptPart[] => [{ text: "  '" }, item, { text: "'\n" }]),
  { text: ")\n" },
];

/**
 * The script that runs on the host; self-contained once the inputs are inserted. There is one source for each value: Terraform
 * inserts the inputs from the plan, assembleScript from the delivery.
 */
export const deliveryScript = (delivery: Delivery): ScriptPart[] => [
  {
    // Its main calls functions by the name that it is given.
    text: `#!/usr/bin/env bash\n${GENERATED_COMMENT}\n# shellcheck disable=SC2317,SC2329\n`,
  },
  { input: SETTINGS, as: "text" },
  { text: assignments({ AGAIN: deliverAgain(delivery) }) },
  { text: "VERSION=" },
  { input: VERSION, as: "text" },
  { text: "\nID=" },
  { digest: "inputs" },
  ...list("CONTENTS", delivery.files.map(contentOf)),
  ...list("DIGESTS", delivery.files.map(digestOf)),
  // One line, because bash reads a script while running it, and another may have been uploaded over it by the time it ends.
  { text: `\n${program(delivery)}\nmain "$@"; exit\n` },
];

/** The script with all inputs inserted. */
export const assembleScript = (delivery: Delivery): string =>
  assembled(deliveryScript(delivery), deliveryInputs(delivery));

/** The script without the bundles: it can inspect and confirm, and compares bundles by digest. */
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
 * Saves a script as a file and runs it: a script read from standard input, as from `runOnHost`, cannot keep a copy of itself.
 *
 * @param command for the script: its arguments as shell words
 * @param left path where an earlier delivery left its program, which is then used instead; default: none
 */
export const asProgram = (script: string, command: string, left = ""): string => `program=${quote(left)}
if [ ! -f "$program" ]; then
  program=$(mktemp) && trap 'rm -f -- "$program"' EXIT && base64 -d >"$program" <<<'${Buffer.from(script).toString("base64")}' || exit
fi
bash "$program" ${command}`;
