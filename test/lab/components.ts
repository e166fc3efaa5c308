import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, join } from "node:path";

/** What a test can require: tools/lab/components, and the hosts, which are made of several of them. */
export type ComponentName =
  | "registry"
  | "registry-v3"
  | "crane"
  | "gitea"
  | "nginx"
  | "promtool"
  | "prometheus"
  | "pushgateway"
  | "alertmanager"
  | "docker-compose"
  | "compose-schema"
  | "skopeo"
  | "actionlint"
  | "shellcheck"
  | "openssl"
  | "terraform"
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kubectl"
  | "prometheusrule-crd"
  | "node-20"
  | "node-22"
  | "node-24"
  | "node-26"
  | "zsh"
  | "fish"
  | "yarn"
  | "pnpm"
  | "bun"
  | "hosts";

/** An available component. */
export interface Component {
  /** The argv prefix that runs it; for a file (compose-schema, prometheusrule-crd) or a
   * folder (gitea) only its path. */
  readonly command: readonly [string, ...string[]];
}

/** One line with the reason why a component is not available, and the hint. */
export interface MissingComponent {
  readonly missing: string;
}

/** A line of the table tools/lab/components. */
export interface ComponentRow {
  readonly name: string;
  /** How it is fetched. */
  readonly kind: string;
  /** Its source: the path of a script, otherwise a package or module. */
  readonly source: string;
  /** The line with normalized white space, as recorded by tools/lab/setup once the component is fetched. */
  readonly text: string;
  /** Programs on PATH that can be used instead, in order of preference. */
  readonly alternatives: readonly string[];
}

const repository = join(__dirname, "../..");

/** Where tools/lab/setup stores what it fetches: WARDEN_LAB_CACHE, default ~/.cache/registry-warden/lab. */
export const cacheFolder = process.env.WARDEN_LAB_CACHE || join(homedir(), ".cache/registry-warden/lab");

/** The table's lines, comments and empty lines left out. */
export const parseComponents = (table: string): ComponentRow[] =>
  table
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((text) => {
      const [name = "", kind = "", source = "", , ...alternatives] = text.split(" ");
      return { name, kind, source, text, alternatives };
    });

/** Every component that tools/lab/setup can fetch. */
export const componentTable = (): ComponentRow[] =>
  parseComponents(readFileSync(join(repository, "tools/lab/components"), "utf8"));

const onPath = (program: string): string | undefined =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

/** The component on this machine, or why it is missing. Fetches nothing. */
export const find = (name: ComponentName): Component | MissingComponent => {
  const row = componentTable().find((candidate) => candidate.name === name);
  if (row === undefined) return { missing: `${name}: not in tools/lab/components` };
  for (const alternative of row.alternatives) {
    const path = onPath(alternative);
    if (path !== undefined) return { command: [path] };
  }
  const hint = `run tools/lab/setup ${name}`;
  const path = join(cacheFolder, "bin", name);
  if (!existsSync(path)) return { missing: `${name}: not fetched: ${hint}` };
  const installed = join(cacheFolder, "installed", name);
  if (!existsSync(installed) || readFileSync(installed, "utf8").trim() !== row.text) {
    return { missing: `${name}: another version than tools/lab/components names: ${hint}` };
  }
  return row.kind === "script" ? checkedScript(join(repository, row.source)) : { command: [path] };
};

/** A script in this repository that reports whether this machine can run it. */
const checkedScript = (script: string): Component | MissingComponent => {
  const { status, stderr } = spawnSync(script, ["check"], { encoding: "utf8" });
  return status === 0 ? { command: [script] } : { missing: stderr.trim() };
};

/**
 * The component, for helpers that cannot skip.
 * @throws with the reason and the hint when it is missing
 */
export const required = (name: ComponentName): Component => {
  const found = find(name);
  if ("missing" in found) throw new Error(found.missing);
  return found;
};

/**
 * Why a file does not run in CI although its components are available: it has not been seen green since it was changed, according
 * to .ci/not-yet-green. It runs everywhere else, and CI prints the reason.
 */
const notYetGreen = (): string[] => {
  if (!process.env.CI) return [];
  const file = basename(expect.getState().testPath ?? "", ".test.ts");
  return readFileSync(join(repository, ".ci/not-yet-green"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith(`${file} :: `))
    .map((line) => `not yet green: ${line.slice(`${file} :: `.length)}`);
};

/**
 * A describe block that needs real components and gets them by name. If one is missing, the block is a single skipped test whose
 * name ends with the reasons, which the reporter prints and .ci/allowed-skips judges.
 */
export const describeWith = <Name extends ComponentName>(
  names: readonly Name[],
  title: string,
  body: (components: Record<Name, Component>) => void,
): void => {
  const found = names.map((name) => [name, find(name)] as const);
  const reasons = [
    ...notYetGreen(),
    ...found.flatMap(([, component]) => ("missing" in component ? [component.missing] : [])),
  ];
  if (reasons.length > 0) {
    describe.skip(title, () => test(`skipped: ${reasons.join("; ")}`, () => undefined));
    return;
  }
  describe(title, () => body(Object.fromEntries(found) as Record<Name, Component>));
};
