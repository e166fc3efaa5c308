import type { Digest } from "./digest";
import { type Answer, ExchangeError } from "./http";

/** What a failure is about, from the outermost to the innermost object. */
export const OBJECTS = ["catalog", "repository", "tag", "manifest", "config", "layer"] as const;
export type FailedObject = (typeof OBJECTS)[number];

/** Why an object is broken, or why that cannot be determined; worst first. */
export const REASONS = [
  "missing",
  "server-error",
  "truncated",
  "size-mismatch",
  "digest-mismatch",
  "malformed",
  "coverage",
  "unauthorized",
  "timeout",
  "unreachable",
] as const;
export type Reason = (typeof REASONS)[number];

/** How the check of one object failed, regardless of where the object is. */
export interface CheckFailure {
  reason: Reason;
  /** The HTTP status; null if no answer began. */
  status: number | null;
  /** One human-readable line. */
  detail: string;
}

/** One broken object of a repository, however many tags reach it. */
export interface Failure extends CheckFailure {
  /** Empty for a failure of the catalog. */
  repository: string;
  /** Every tag that reaches the object, sorted. */
  tags: string[];
  /** Null for a catalog, a repository and a tag. */
  digest: Digest | null;
  object: FailedObject;
  /** The platform of the index entry on the path, such as `linux/arm64/v8`. */
  platform: string | null;
  /** From the tag's digest to the broken one: the shortest path, then the lowest tag. */
  path: Digest[];
}

/** Something that may or may not be wrong. */
export interface Warning {
  repository: string;
  /** The catalog lists the repository, but it has no list of tags: either nothing was ever tagged, or its tags are lost. */
  reason: "no-tags";
  /** The HTTP status. */
  status: number;
}

/** The failure of the object at a place, with its fields in the order of the contract. */
export const failureAt = (
  repository: string,
  place: Pick<Failure, "tags" | "object" | "platform" | "path">,
  digest: Digest | null,
  { reason, status, detail }: CheckFailure,
): Failure => {
  const { tags, object, platform, path } = place;
  return { repository, tags, digest, object, reason, status, platform, path, detail };
};

/** A failure of the registry's catalog. */
export const catalogFailure = (failure: CheckFailure): Failure =>
  failureAt("", { tags: [], object: "catalog", platform: null, path: [] }, null, failure);

/** An unreachable backend (gateway errors) and a rate limit say nothing about the object. */
const UNKNOWN_STATUS: readonly number[] = [429, 502, 503, 504];

/** Whether the failure leaves the object's state unknown, so that the walk is incomplete. */
export const isUncertain = (failure: Pick<CheckFailure, "reason" | "status">): boolean => {
  if (failure.reason === "timeout" || failure.reason === "unreachable" || failure.reason === "unauthorized")
    return true;
  return failure.status !== null && UNKNOWN_STATUS.includes(failure.status);
};

/** The failure for a status that is not the expected success. */
export const failureOfStatus = (status: number): CheckFailure => {
  if (status === 404 || status === 410) return { reason: "missing", status, detail: `answered ${status}` };
  if (status === 401 || status === 403) return { reason: "unauthorized", status, detail: `refused with ${status}` };
  if (status === 408) return { reason: "timeout", status, detail: "answered 408 to the end" };
  if (status === 416) return { reason: "truncated", status, detail: "ends before its last byte" };
  if (status === 429) return { reason: "unreachable", status, detail: "asked for fewer requests until the end" };
  if (status >= 500) return { reason: "server-error", status, detail: `answered ${status}` };
  return { reason: "malformed", status, detail: `unexpected status ${status}` };
};

/** The failure for an exchange without a complete answer. @throws the error if it is another one, or ends the run */
export const failureOfExchange = (error: unknown): CheckFailure => {
  if (!(error instanceof ExchangeError)) throw error;
  const { status, message: detail } = error;
  switch (error.code) {
    case "cancelled":
      throw error;
    case "cut":
      return { reason: "truncated", status, detail: `${detail}, after ${error.received} bytes` };
    case "timeout":
      return { reason: "timeout", status, detail };
    case "too-large":
      return { reason: "size-mismatch", status, detail };
    case "not-http":
    case "redirects":
      return { reason: "malformed", status, detail };
    case "unreachable":
    case "untrusted":
      return { reason: "unreachable", status, detail };
  }
};

interface ErrorEntry {
  code?: unknown;
  message?: unknown;
  detail?: unknown;
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes; empty if the body has another form */
const errorEntries = (body: unknown): ErrorEntry[] => {
  const errors = typeof body === "object" && body !== null ? (body as { errors?: unknown }).errors : undefined;
  if (!Array.isArray(errors)) return [];
  return errors.filter((entry): entry is ErrorEntry => typeof entry === "object" && entry !== null);
};

const errorsOf = (answer: Answer): ErrorEntry[] => {
  try {
    return errorEntries(JSON.parse(answer.body.toString("utf8")));
  } catch {
    return [];
  }
};

/**
 * Whether a registry answers as if the Accept header lacked the manifest's type, because a reverse proxy stripped or rewrote it.
 * An OCI manifest is then answered with a 404 that says so. A Docker one would have to be converted to schema 1, which is
 * refused with 400, but a damaged manifest may get the same status from other registries.
 */
export const acceptWasDropped = (answer: Answer): "certainly" | "perhaps" | "no" => {
  const errors = answer.status === 404 || answer.status === 400 ? errorsOf(answer) : [];
  if (answer.status === 404)
    return errors.some(({ message }) => /accept header/i.test(String(message))) ? "certainly" : "no";
  return errors.some(({ code }) => code === "MANIFEST_INVALID") ? "perhaps" : "no";
};

/** How v3 writes an upstream error in one line: the code in lower case with spaces for underscores, then a message. */
const ERROR_TEXT = /^(manifest unknown|name unknown|blob unknown|unauthorized|denied|toomanyrequests|unknown): /gm;

/** The codes a pull-through cache passes on from its upstream in the detail of its own error: nested in 2.8, as text in v3. */
const upstreamCodes = (answer: Answer): string[] =>
  errorsOf(answer).flatMap(({ detail }) => {
    if (typeof detail === "string") {
      return [...detail.matchAll(ERROR_TEXT)].map(([, code = ""]) => code.toUpperCase().replace(" ", "_"));
    }
    const nested = errorEntries({ errors: [detail] }).filter(({ code }) => code !== undefined);
    return [...errorEntries(detail), ...nested].map(({ code }) => String(code));
  });

/**
 * Whether a pull-through cache reports that its upstream did not answer, or not as a registry: the detail has Go's network
 * error, or the status.
 */
const upstreamUnreachable = (answer: Answer): boolean =>
  errorsOf(answer).some(({ detail }) => {
    if (typeof detail === "string") return /^(?:\w+ "https?:|received unexpected HTTP status: )/.test(detail);
    if (typeof detail !== "object" || detail === null) return false;
    return ("Op" in detail && "Err" in detail) || ("Status" in detail && typeof detail.Status === "string");
  });

const UPSTREAM_LACKS: readonly string[] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"];
const UPSTREAM_REFUSES: readonly string[] = ["UNAUTHORIZED", "DENIED"];

/** What a pull-through cache's 500 says about its upstream; null if it is about the cache itself. Measured on 2.8.3 and v3. */
export const upstreamFailure = (answer: Answer): CheckFailure | null => {
  const { status } = answer;
  if (status < 500) return null;
  if (upstreamUnreachable(answer)) return { reason: "unreachable", status, detail: "its upstream cannot be reached" };
  const codes = upstreamCodes(answer);
  if (codes.length === 0) return null;
  const named = codes.join(", ").replace(/[^A-Z_, ]/g, "");
  if (codes.some((code) => UPSTREAM_LACKS.includes(code))) {
    return { reason: "missing", status, detail: `its upstream lacks it: ${named}` };
  }
  if (codes.some((code) => UPSTREAM_REFUSES.includes(code))) {
    return { reason: "unauthorized", status, detail: `its upstream refuses it: ${named}` };
  }
  return { reason: "unreachable", status, detail: `its upstream cannot give it now: ${named}` };
};
