import { readdirSync } from "node:fs";

/**
 * `npm run bench [-- NAME…]`: all benches, or the named ones. A bench without its components says so, and the others
 * still run.
 */
const main = async (): Promise<void> => {
  const wanted = process.argv.slice(2);
  const benches = readdirSync(__dirname)
    .filter((file) => file.endsWith(".bench.ts"))
    .map((file) => file.slice(0, -".bench.ts".length))
    .sort();
  const unknown = wanted.filter((name) => !benches.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`bench: unknown bench ${unknown.join(", ")}; known benches: ${benches.join(", ")}\n`);
    process.exitCode = 64;
    return;
  }
  for (const name of wanted.length > 0 ? wanted : benches) {
    process.stdout.write(`== ${name}\n`);
    const { runBench } = require(`./${name}.bench`) as { runBench(): Promise<void> };
    await runBench();
  }
};

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
