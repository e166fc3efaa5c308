import type { RetentionPolicy } from "../../site/retention";
import type { Credentials } from "../oci/credentials";
import { RegistryError } from "../oci/errors";
import { isRepository, parseRegistry } from "../oci/reference";
import { parsePushgateway, Variables } from "../probe/variables";
import { parsePolicy } from "../storage/policy";

/** The settings of one run of the clean-up. */
export interface CleanUpSettings {
  registry: URL;
  /** Value of the label `instance`. */
  instance: string;
  credentials: Credentials | null;
  /** Path of a PEM file. */
  caFile: string | null;
  /** Requests a second; null without a limit. */
  rate: number | null;
  /** Cleaned up instead of the repositories in the catalog; empty: the catalog is read. */
  repositories: string[];
  policy: RetentionPolicy;
  /** The folder of the journals. */
  journals: string;
  pushgateway: URL;
  /** Value of the label `cluster`; null without it. */
  cluster: string | null;
  /** The journal of the run to undo; null: the registry is cleaned up. */
  undo: string | null;
}

/** Every variable that the clean-up reads, with its values, its default and its meaning. */
export const CLEAN_UP_VARIABLES = {
  REGISTRY: "required: the registry, as a url or host:port",
  REGISTRY_INSTANCE: "value of the label instance; default: the registry's host",
  REG_USER: "user name of an account that may push and delete; default: none",
  REG_PASS: "password; default: none",
  REGISTRY_CA_FILE: "PEM file of a private certificate authority, trusted beside the public ones; default: none",
  RATE: "requests a second, at most; default: as many as the registry answers",
  REPOSITORIES: "cleaned up instead of what the catalog lists, separated by commas; default: what the catalog lists",
  POLICY: "required: what is kept, the site's retention as JSON",
  JOURNALS: "required: folder of the journals by which a run can be undone; it has to outlive the run",
  PUSHGATEWAY: "required: base url of the Pushgateway",
  CLUSTER: "value of the label cluster, where several clusters share the Pushgateway; default: none",
  UNDO: "folder of the journal of a run, as its log names it: instead of a clean-up, what it removed is put back",
} as const;

/**
 * Reads the settings of the clean-up from environment variables: see CLEAN_UP_VARIABLES.
 *
 * @throws RegistryError `bad-input` that names every error; no secret is repeated
 */
export const cleanUpSettings = (environment: NodeJS.ProcessEnv): CleanUpSettings => {
  const variables = new Variables<keyof typeof CLEAN_UP_VARIABLES>(environment);
  const registry = variables.parsed("REGISTRY", parseRegistry);
  const pushgateway = variables.parsed("PUSHGATEWAY", parsePushgateway);
  const policy = variables.parsed("POLICY", (text) => parsePolicy(JSON.parse(text)));
  const settings = {
    credentials: variables.account("REG_USER", "REG_PASS"),
    caFile: variables.text("REGISTRY_CA_FILE"),
    rate: variables.number("RATE", 0, 0.01, false) || null,
    repositories: variables.list("REPOSITORIES", isRepository, "repository"),
    journals: variables.required("JOURNALS"),
    cluster: variables.text("CLUSTER"),
    undo: variables.text("UNDO"),
  };
  if (registry === null || pushgateway === null || policy === null || variables.errors.length > 0) {
    throw new RegistryError("bad-input", variables.errors.join("; "), "correct the environment of the clean-up");
  }
  return {
    ...settings,
    registry,
    pushgateway,
    policy,
    instance: variables.text("REGISTRY_INSTANCE") ?? registry.host,
  };
};
