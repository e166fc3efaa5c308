import { probe } from "../registry/probe/probe";
import { runJob } from "./job";

/** The program of the CronJob that walks a registry; see probeSettings. It writes nothing to disk. */
runJob(probe);
