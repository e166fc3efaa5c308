import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { required } from "./components";
import { authorizationOf } from "./images";
import { freePort, type RunningProcess, startProcess, temporaryFolder } from "./process";
import type { LabCredentials } from "./registry";

/** A Gitea on loopback, with one user whose packages form its registry. */
export interface LabGitea {
  readonly url: string;
  readonly host: string;
  readonly user: LabCredentials;
  /** The file of a blob or a manifest. */
  data(digest: string): string;
  /** Stops it and removes everything. */
  stop(): Promise<void>;
}

/** Gitea refuses to run as root. */
const NOBODY = 65534;

const configuration = (folder: string, port: number, user: string): string => `RUN_USER = ${user}
WORK_PATH = ${folder}/work
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = http://127.0.0.1:${port}/
STATIC_ROOT_PATH = ${folder}/program
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = ${folder}/work/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = lab
INTERNAL_TOKEN = lab
; A password is checked with each request: one round instead of 50,000.
PASSWORD_HASH_ALGO = pbkdf2$1$50
[log]
MODE = console
LEVEL = Warn
[indexer]
ISSUE_INDEXER_TYPE = db
`;

/** Starts Gitea and returns once its registry answers. */
export const startGitea = async (): Promise<LabGitea> => {
  const folder = temporaryFolder("gitea");
  const [component] = required("gitea").command;
  const work = join(folder, "work");
  const isRoot = process.getuid?.() === 0;
  const account = isRoot ? "nobody" : userInfo().username;
  cpSync(component, join(folder, "program"), { recursive: true, dereference: true });
  mkdirSync(join(work, "custom/conf"), { recursive: true });
  const port = await freePort();
  writeFileSync(join(work, "custom/conf/app.ini"), configuration(folder, port, account));
  if (isRoot) execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, folder]);
  const user = { username: "lab", password: "lab-s3cret-lab" };
  const demoted = isRoot ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
  const environment = { HOME: work, USER: account, GITEA_WORK_DIR: work };
  const command = (...args: string[]): [string, ...string[]] => {
    const [program = "", ...rest] = [...demoted, join(folder, "program/gitea"), ...args, "--work-path", work];
    return [program, ...rest];
  };
  const once = (...args: string[]): void => {
    const [program, ...rest] = command(...args);
    execFileSync(program, rest, { env: { ...process.env, ...environment }, stdio: ["ignore", "ignore", "pipe"] });
  };
  once("migrate");
  once(
    ...["admin", "user", "create", "--username", user.username, "--password", user.password],
    ...["--email", "lab@example.org", "--admin", "--must-change-password=false"],
  );
  const url = `http://127.0.0.1:${port}`;
  const running: RunningProcess = await startProcess(command("web"), {
    ready: async () => (await fetch(`${url}/v2/`)).status === 401,
    environment,
    seconds: 60,
  });
  return {
    url,
    host: `127.0.0.1:${port}`,
    user,
    data: (digest) => {
      const hex = digest.replace("sha256:", "");
      return join(work, "data/packages", hex.slice(0, 2), hex.slice(2, 4), hex);
    },
    stop: async () => {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Makes an organization, whose packages the user may push to. */
export const makeOwner = async ({ url, user }: LabGitea, username: string): Promise<void> => {
  const { status } = await fetch(`${url}/api/v1/orgs`, {
    method: "POST",
    headers: { ...authorizationOf(user), "content-type": "application/json" },
    body: JSON.stringify({ username }),
  });
  if (status !== 201) throw new Error(`the organization ${username} answered ${status}`);
};
