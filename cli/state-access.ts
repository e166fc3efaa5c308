import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { State } from "../site/state";

/** Nothing can be planned: every stack would fail on its own, each with a long message. */
export class StateAccessError extends Error {
  readonly code = "no-state-credentials";
  readonly hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";
}

const KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const;

/** Other sources of credentials. https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html */
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

/** An EC2 instance has its own credentials: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html */
const isEc2 = (): boolean => {
  try {
    return readFileSync("/sys/class/dmi/id/sys_vendor", "utf8").startsWith("Amazon");
  } catch {
    return false;
  }
};

/**
 * Throws if the credentials for the state store are plainly missing.
 *
 * @param machine whether the machine provides credentials to its programs, which only AWS itself accepts
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
