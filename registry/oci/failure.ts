import type { Digest } from "./digest";
import type { Answer, ExchangeError } from "./http";

/** What a failure is about, from the outside in. */
export const OBJECTS = ["catalog", "repository", "tag", "manifest", "config", "layer"] as const;
export type FailedObject = (typeof OBJECTS)[number];

/** Why an object is broken, or why nobody can tell; worst first. */
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

/** What is wrong with one object, wherever it is. */
export interface Fault {
  reason: Reason;
  /** The HTTP status, null where no answer began. */
  status: number | null;
  /** One line for people. */
  detail: string;
}

/** One broken object of a repository, however many tags reach it. */
export interface Failure extends Fault {
  /** Empty when the catalog failed. */
  repository: string;
  /** Every tag that reaches the object, sorted. */
  tags: string[];
  /** Null for a catalog, a repository and a tag. */
  digest: Digest | null;
  object: FailedObject;
  /** Of the index entry that the path goes through, as `linux/arm64/v8`. */
  platform: string | null;
  /** From the tag's digest to the broken one: the shortest route, then the lowest tag. */
  path: Digest[];
}

/** What may be wrong, and may as well be as it should be. */
export interface Warning {
  repository: string;
  /** The catalog lists the repository, and it has no list of tags: nothing was ever tagged there, or its tags are lost. */
  reason: "no-tags";
  /** The HTTP status. */
  status: number;
}

/** A failure, its fields in the order of the contract. */
export const failure = (
  repository: string,
  place: Pick<Failure, "tags" | "object" | "platform" | "path">,
  digest: Digest | null,
  { reason, status, detail }: Fault,
): Failure => {
  const { tags, object, platform, path } = place;
  return { repository, tags, digest, object, reason, status, platform, path, detail };
};

/** A fault of the registry's list of repositories. */
export const catalogFailure = (fault: Fault): Failure =>
  failure("", { tags: [], object: "catalog", platform: null, path: [] }, null, fault);

/** A gateway that cannot reach the registry, and a registry that asks for patience, say nothing about the object. */
const UNKNOWN_STATUS: readonly number[] = [429, 502, 503, 504];

/** Whether the fault leaves open what the object is like: the walk has then not reached everything. */
export const isUncertain = (fault: Pick<Fault, "reason" | "status">): boolean => {
  if (fault.reason === "timeout" || fault.reason === "unreachable" || fault.reason === "unauthorized") return true;
  return fault.status !== null && UNKNOWN_STATUS.includes(fault.status);
};

/** The fault of an answer that is not the success asked for. */
export const faultOfStatus = (status: number): Fault => {
  if (status === 404 || status === 410) return { reason: "missing", status, detail: `answered ${status}` };
  if (status === 401 || status === 403) return { reason: "unauthorized", status, detail: `refused with ${status}` };
  if (status === 408) return { reason: "timeout", status, detail: "answered 408 to the end" };
  if (status === 416) return { reason: "truncated", status, detail: "ends before its last byte" };
  if (status === 429) return { reason: "unreachable", status, detail: "asked for fewer requests until the end" };
  if (status >= 500) return { reason: "server-error", status, detail: `answered ${status}` };
  return { reason: "malformed", status, detail: `unexpected status ${status}` };
};

/** The fault of an exchange that gave no whole answer. */
export const faultOfExchange = (error: ExchangeError): Fault => {
  const { status, message: detail } = error;
  switch (error.fault) {
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
    case "cancelled":
      return { reason: "unreachable", status, detail };
  }
};

interface ErrorEntry {
  code?: unknown;
  message?: unknown;
  detail?: unknown;
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes; empty where the body is no such thing */
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
 * Whether a registry answers as if the Accept header lacked the manifest's type: a reverse proxy has dropped or changed it. An OCI
 * manifest is then 404 and says so. A Docker one would have to be converted to schema 1, which is refused with 400; but so
 * may a damaged manifest be elsewhere.
 */
export const acceptWasDropped = (answer: Answer): "certainly" | "perhaps" | "no" => {
  const errors = answer.status === 404 || answer.status === 400 ? errorsOf(answer) : [];
  if (answer.status === 404)
    return errors.some(({ message }) => /accept header/i.test(String(message))) ? "certainly" : "no";
  return errors.some(({ code }) => code === "MANIFEST_INVALID") ? "perhaps" : "no";
};

/** How v3 writes an error of its upstream in one line: the code in lower case, a blank for each underscore, a message. */
const ERROR_TEXT = /^(manifest unknown|name unknown|blob unknown|unauthorized|denied|toomanyrequests|unknown): /gm;

/** The codes a pull-through cache passes on from its upstream, in the detail of its own error: nested in 2.8, a text in v3. */
const upstreamCodes = (answer: Answer): string[] =>
  errorsOf(answer).flatMap(({ detail }) => {
    if (typeof detail === "string") {
      return [...detail.matchAll(ERROR_TEXT)].map(([, code = ""]) => code.toUpperCase().replace(" ", "_"));
    }
    const nested = errorEntries({ errors: [detail] }).filter(({ code }) => code !== undefined);
    return [...errorEntries(detail), ...nested].map(({ code }) => String(code));
  });

/**
 * Whether a pull-through cache says that its upstream did not answer, or not as a registry: Go's own network error, or the
 * status, is in the detail.
 */
const upstreamUnreachable = (answer: Answer): boolean =>
  errorsOf(answer).some(({ detail }) => {
    if (typeof detail === "string") return /^(?:\w+ "https?:|received unexpected HTTP status: )/.test(detail);
    if (typeof detail !== "object" || detail === null) return false;
    return ("Op" in detail && "Err" in detail) || ("Status" in detail && typeof detail.Status === "string");
  });

const UPSTREAM_LACKS: readonly string[] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"];
const UPSTREAM_REFUSES: readonly string[] = ["UNAUTHORIZED", "DENIED"];

/** What a pull-through cache's 500 says of its upstream; null where it speaks of the cache itself. Measured on 2.8.3 and v3. */
export const upstreamFault = (answer: Answer): Fault | null => {
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
