/** What stopped the work as a whole; a failure of a single object is a Failure instead. */
export type RegistryErrorCode =
  | "unreachable"
  | "timeout"
  | "unauthorized"
  | "rate-limited"
  | "bad-input"
  | "bad-credentials"
  | "accept-dropped"
  | "no-catalog";

/** The work could not be done: one line with the reason, and one with the fix. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";

  constructor(
    readonly code: RegistryErrorCode,
    message: string,
    /** What the operator can do about it. */
    readonly hint: string,
  ) {
    super(message);
  }
}
