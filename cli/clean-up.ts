import { cleanUp } from "../registry/clean-up/clean-up";
import { runJob } from "./job";

/** The program of the CronJob that cleans up a registry over HTTP; see cleanUpSettings. */
runJob(cleanUp);
