import { spawnSync } from "node:child_process";

/** A describe block that installs packages, mostly from npm's cache. It is skipped if npm's registry is unreachable. */
export const npmRegistry = (title: string, body: () => void): void => {
  const { status, stderr } = spawnSync("npm", ["ping", "--fetch-timeout=10000", "--fetch-retries=1"], {
    encoding: "utf8",
  });
  if (status === 0) describe(title, body);
  else
    describe.skip(title, () => {
      test(`skipped: npm: its registry does not answer: ${stderr.trim().split("\n", 1)[0]}`, () => undefined);
    });
};
