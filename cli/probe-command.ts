import { Command } from "commander";
import { probe } from "../registry/probe/probe";
import { print, printError } from "./output";

/** `warden probe`: the program of the CronJob (see cli/probe.ts), for running it by hand. */
export const probeCommand = (): Command =>
  new Command("probe")
    .description("walk the registry that the environment names and push the result to a Pushgateway")
    .addHelpText(
      "after",
      `
Examples:
  REGISTRY=https://registry.example.org PUSHGATEWAY=http://localhost:9091 warden probe   one run by hand`,
    )
    .action(async () => {
      process.exitCode = await probe(process.env, print, printError);
    });
