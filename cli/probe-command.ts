import { Command } from "commander";
import { probe } from "../registry/probe/probe";

/** `warden probe`: what the CronJob runs (see cli/probe.ts), for a try by hand. */
export function probeCommand(): Command {
  return new Command("probe")
    .description("walk the registry that the environment names and push the result to a Pushgateway")
    .addHelpText(
      "after",
      `
Examples:
  REGISTRY=https://registry.example.org PUSHGATEWAY=http://localhost:9091 warden probe   one run by hand`,
    )
    .action(async () => {
      const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);
      process.exitCode = await probe(process.env, line(process.stdout), line(process.stderr));
    });
}
