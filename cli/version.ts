import { spawnSync } from "node:child_process";
import { version } from "../package.json";

/** Inserted by the build of warden.mjs; null if that was not in a git checkout. */
declare const COMMIT: string | null | undefined;

/** The commit of a checkout, with `-dirty` if there are changes; undefined outside a checkout. */
export const commitOf = (checkout: string): string | undefined => {
  const { status, stdout } = spawnSync("git", ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], {
    cwd: checkout,
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : undefined;
};

/** Version and commit: `0.1.0 (0123456789ab)`. */
export const versionText = (): string => {
  const commit = typeof COMMIT === "undefined" ? sourceCommit() : COMMIT;
  return commit ? `${version} (${commit})` : version;
};

/** For a checkout that runs from its sources. Other programs are bundled without a commit, so only changes change them. */
const sourceCommit = (): string | undefined => (typeof __dirname === "undefined" ? undefined : commitOf(__dirname));
