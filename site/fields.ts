import { isAbsolute, normalize } from "node:path/posix";
import * as z from "zod";

/**
 * The vocabulary of a site: the error of each field says what is allowed and, if it is not obvious, the hint. The loader
 * prepends the path and the given value.
 */

const text = (allowed: string) => z.string({ error: `allowed is ${allowed}` });

/** Text that matches a pattern; otherwise an error says what is allowed. */
export const matching = (pattern: RegExp, allowed: string) =>
  text(allowed).regex(pattern, { error: `allowed is ${allowed}` });

/** An RFC 1123 label, as used for Kubernetes, compose and host names. */
export const label = matching(
  /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
  'a DNS label: lower-case letters, digits and inner hyphens, at most 63, for example "registry-vm"',
);

/** A domain name of at least one label, without the trailing dot (RFC 1035 section 2.3.1, digits allowed by RFC 1123). */
export const domainName = matching(
  /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/,
  'a domain name in lower case without a trailing dot, for example "example.lan"',
);

const ADDRESS = 'an IPv4 or IPv6 address, for example "192.0.2.1": a name would need the resolver that it configures';

export const address = text(ADDRESS).refine(
  (value) => z.ipv4().safeParse(value).success || z.ipv6().safeParse(value).success,
  { error: `allowed is ${ADDRESS}` },
);

const ABSOLUTE_PATH = 'an absolute path in its shortest form, for example "/opt/registry"';

/** No control characters, because paths are written to line-based files (systemd units, nginx). */
export const absolutePath = text(ABSOLUTE_PATH).refine(
  (value) =>
    isAbsolute(value) && normalize(value) === value && value !== "/" && !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value),
  { error: `allowed is ${ABSOLUTE_PATH}` },
);

const WORKSTATION_PATH = 'an absolute path or one below "~/", for example "~/.ssh/id_ed25519"';

/** A path on the operator's machine. No character in it is special to a shell, except the tilde, which is expanded. */
export const workstationPath = matching(/^(~\/|\/)[^\s"'$%`\\\p{Cc}\p{Cs}]+$/u, WORKSTATION_PATH);

const FREE_TEXT = "a line of text that is not empty";

/** One line that is safe in a terminal, a systemd unit, a YAML file and JavaScript. Lone surrogates are rejected. */
export const line = text(FREE_TEXT).refine(
  (value) => value.trim() !== "" && !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value),
  { error: `allowed is ${FREE_TEXT}` },
);

const whole = (minimum: number, maximum: number, what: string) =>
  z
    .int({ error: `allowed is ${what}, ${minimum} to ${maximum}` })
    .min(minimum, { error: `allowed is ${what}, ${minimum} to ${maximum}` })
    .max(maximum, { error: `allowed is ${what}, ${minimum} to ${maximum}` });

/** A whole number without an upper limit. */
export const wholeNumber = (minimum: number, allowed: string) =>
  z.int({ error: `allowed is ${allowed}` }).min(minimum, { error: `allowed is ${allowed}` });

export const port = whole(1, 65535, "a port number");
export const seconds = (minimum: number, maximum: number) => whole(minimum, maximum, "a whole number of seconds");
export const hours = (minimum: number, maximum: number) => whole(minimum, maximum, "a whole number of hours");
export const count = (minimum: number, maximum: number) => whole(minimum, maximum, "a whole number");

const PERIODS = [5, 10, 15, 20, 30, 60] as const;

/** Periods that cron and systemd timers can repeat evenly: every hour starts with a run. */
export const periodMinutes = z.literal(PERIODS, { error: `allowed is one of ${PERIODS.join(", ")} (minutes)` });

/** An http(s) base URL without credentials, query or fragment: a credential in a URL would end up in plans and logs. */
export const baseUrl = (protocols: ("http" | "https")[]) => {
  const allowed = `a URL of ${protocols.join(" or ")} without credentials, query or fragment`;
  return text(allowed).refine(
    (value) => {
      // The URL standard strips line breaks and tabs, but it is the original text that reaches the configuration files.
      if (!/^[\x21-\x7e]+$/.test(value) || !URL.canParse(value)) return false;
      const url = new URL(value);
      const bare = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
      return bare && protocols.some((protocol) => url.protocol === `${protocol}:`);
    },
    { error: `allowed is ${allowed}` },
  );
};

/** The base URL of a Pushgateway, to which clients add `/metrics/job/…`. */
export const pushgatewayBaseUrl = baseUrl(["http", "https"]).refine(
  (url) => !URL.canParse(url) || new URL(url).pathname === "/",
  { error: 'allowed is the URL of a Pushgateway without a path, for example "http://pushgateway:9091"' },
);

/**
 * A value from a fixed set. Written out, because zod's default message does not include the hint.
 */
export const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `allowed is ${values.map((value) => JSON.stringify(value)).join(" or ")}` });

/**
 * A field that people may try to set and that must not be set. It is declared so that the error gives the reason instead
 * of calling it unknown, and so that TypeScript already rejects it in the editor.
 */
export const refused = (reason: string) =>
  z
    .unknown()
    .refine((value) => value === undefined, { error: reason })
    .optional() as unknown as z.ZodOptional<z.ZodNever>;

/** Whether a field of a schema is never allowed. */
export const isRefused = (field: unknown): boolean =>
  field instanceof z.ZodOptional && field.def.innerType instanceof z.ZodUnknown;

/**
 * An object without unknown fields. A mistyped optional field would otherwise be dropped silently. Unlike z.strictObject it
 * continues after an unknown field, so that errors in the other fields are reported too.
 *
 * @param allowed the allowed values named in the error; default: the field names
 */
export const record = <Shape extends z.ZodRawShape>(shape: Shape, allowed?: string) => {
  const known = Object.keys(shape);
  const unknown = (value: unknown) =>
    typeof value === "object" && value !== null ? Object.keys(value).filter((key) => !known.includes(key)) : [];
  const fields = known.filter((key) => !isRefused(shape[key]));
  return z
    .looseObject(shape, { error: `allowed is ${allowed ?? `an object with ${fields.join(", ")}`}` })
    .refine((value) => unknown(value).length === 0, {
      when: () => true,
      params: { unknownFields: true },
      error: (issue) =>
        `unknown field ${unknown(issue.input)
          .map((key) => JSON.stringify(key))
          .join(", ")}; allowed are ${fields.join(", ")}`,
    }) as unknown as z.ZodObject<Shape, z.core.$strict>;
};

/** The values that occur more than once, in order of first occurrence. */
export const duplicates = <T>(values: readonly T[]): T[] => [
  ...new Set(values.filter((value, index) => values.indexOf(value) !== index)),
];
