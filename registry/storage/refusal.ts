/** The work could not be done, or would do harm: nothing was changed. The command exits with code 2. */
export class StorageRefusal extends Error {
  override readonly name = "StorageRefusal";

  /**
   * @param code stable, for programs: `unknown-layout`
   * @param message one line without a full stop: what was given, what is allowed
   * @param hint one line: what to do about it
   */
  constructor(
    readonly code: RefusalCode,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

export type RefusalCode =
  | "not-found"
  | "unknown-layout"
  | "unreadable"
  | "read-only"
  | "disk"
  | "damaged"
  | "locked"
  | "no-deletions"
  | "registry-running"
  | "registry-unknown"
  | "unauthorized"
  | "whole"
  | "needed"
  | "policy"
  | "in-use"
  | "proxy";
