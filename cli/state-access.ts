import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { State } from "../site/state";

/** Nothing can be planned: every stack would fail by itself, each at length. */
export class StateAccessError extends Error {
  readonly code = "no-state-credentials";
  readonly hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";
}

const KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const;

/** What else names credentials. https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html */
const OTHERS = [
  "AWS_PROFILE",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
] as const;

const sharedFiles = (environment: NodeJS.ProcessEnv, home: string): string[] => [
  environment.AWS_SHARED_CREDENTIALS_FILE || join(home, ".aws/credentials"),
  environment.AWS_CONFIG_FILE || join(home, ".aws/config"),
];

/** A machine of EC2 has credentials of its own: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html */
const isEc2 = (): boolean => {
  try {
    return readFileSync("/sys/class/dmi/id/sys_vendor", "utf8").startsWith("Amazon");
  } catch {
    return false;
  }
};

/**
 * Refuses where the credentials of the store of the state are plainly missing.
 *
 * @param machine whether it gives its programs credentials, which only the store of AWS itself takes
 * @throws StateAccessError
 */
export const requireStateAccess = (
  state: State,
  {
    environment = process.env,
    home = homedir(),
    machine = isEc2,
  }: { environment?: NodeJS.ProcessEnv; home?: string; machine?: () => boolean } = {},
): void => {
  if (state.backend !== "s3") return;
  const missing = KEYS.filter((name) => !environment[name]);
  if (missing.length === 0) return;
  if (missing.length < KEYS.length)
    throw new StateAccessError(
      `the state is in the bucket ${state.bucket}, and of ${KEYS.join(" and ")} ${missing[0]} is not set`,
    );
  const found =
    OTHERS.some((name) => environment[name]) ||
    sharedFiles(environment, home).some((file) => existsSync(file)) ||
    (state.endpoint === undefined && machine());
  if (!found)
    throw new StateAccessError(`the state is in the bucket ${state.bucket}, and nothing here has credentials for it`);
};
