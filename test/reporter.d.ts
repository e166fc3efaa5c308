/** The types of reporter.js, which jest loads without a transform. */
export interface AllowedSkip {
  readonly pattern: string;
  readonly why: string;
}

/** `<seconds> s <file>`; the times are in milliseconds. */
export function longest(times: ReadonlyMap<string, number>, count?: number): string[];
export function parseAllowedSkips(text: string): AllowedSkip[];
export function skippedTests(file: string, testResults: readonly { status: string; fullName: string }[]): string[];
export function summaryOfSkips(skipped: readonly string[]): string;
export function unlistedSkips(skipped: readonly string[], allowed: readonly AllowedSkip[]): string[];
