import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Once before the lab's tests: bundles the program that WARDEN names, from the sources as they are. */
const build = (): void => {
  execFileSync(process.execPath, ["--import", "tsx", "cli/build.ts"], {
    cwd: join(__dirname, "../.."),
    stdio: "inherit",
  });
};

export default build;
