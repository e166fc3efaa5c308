import { probe } from "../registry/probe/probe";
import { suitEngineToWalk } from "./engine";

suitEngineToWalk();

const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);

/** The program of the CronJob: configured by environment variables alone (see probeSettings), it writes nothing to disk. */
probe(process.env, line(process.stdout), line(process.stderr)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`unexpected: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
