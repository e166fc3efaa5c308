/** Something about a host that is not as the site has it. */
export interface Finding {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** What was found of one host. */
export interface HostReport {
  readonly host: string;
  readonly findings: readonly Finding[];
  /** Why nothing was asked, of a host that is deferred. */
  readonly deferred?: string;
}
