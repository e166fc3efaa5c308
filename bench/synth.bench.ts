import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median } from "./median";

const RUNS = 5;
const root = resolve(__dirname, "..");
const template = join(__dirname, "template");

const secondsOf = (command: string, args: string[], cwd: string): number => {
  const output = mkdtempSync(join(tmpdir(), "synth-"));
  const started = performance.now();
  try {
    execFileSync(command, args, {
      cwd,
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, CDKTF_OUTDIR: output },
    });
    return (performance.now() - started) / 1000;
  } finally {
    rmSync(output, { recursive: true });
  }
};

/** `npm run synth` of the reference site against an app as the CDKTF template runs it, in turn. */
export const runBench = async (): Promise<void> => {
  if (!existsSync(join(template, "node_modules")))
    execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: template, stdio: "inherit" });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let each = 0; each < RUNS; each++) {
    ours.push(secondsOf(process.execPath, ["--import", "tsx", "main.ts", "--site", "site/reference.ts"], root));
    theirs.push(secondsOf(join(template, "node_modules/.bin/ts-node"), ["main.ts"], template));
  }
  const [a, b] = [median(ours), median(theirs)];
  process.stdout.write(`synth (tsx, deep imports)                               ${a.toFixed(2)} s\n`);
  process.stdout.write(`the same app as the template has it (ts-node, barrels)  ${b.toFixed(2)} s\n`);
  process.stdout.write(`ratio                                                   ${(b / a).toFixed(1)}\n`);
};
