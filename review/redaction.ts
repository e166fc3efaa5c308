/** What replaces a secret. */
export const SENSITIVE = "(sensitive value)";

/** A shorter one would match by chance, and the gaps would allow it to be guessed. */
const SHORTEST = 4;

/** Minimum length of a line in a multi-line secret, such as a private key; a shorter line is hardly a secret on its own. */
const SHORTEST_LINE = 16;

/** Words in every configuration. A secret like this is not worth hiding. */
const WORDS = new Set(["true", "false", "null", "none", "root", "admin"]);

/** No secret is longer; a program that is marked as sensitive to keep it out of plans is. */
const LONGEST = 64 * 1024;

const parts = (secret: string): string[] => [
  secret,
  ...(secret.includes("\n")
    ? secret
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line.length >= SHORTEST_LINE)
    : []),
];

/**
 * The part of a base64 text that the secret alone determines, for each of the three offsets at which the secret can start in the
 * encoded text: in an Authorization header it follows the user name.
 */
const base64Cores = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const start = Math.ceil((offset * 8) / 6);
    const end = Math.floor(((offset + bytes.length) * 8) / 6);
    const core = encoded.slice(start, end);
    return core.length < 6 ? [] : [core, core.replaceAll("+", "-").replaceAll("/", "_")];
  });
};

const forms = (secret: string): string[] => [
  secret,
  // A lone surrogate cannot be encoded.
  encodeURIComponent(secret.replace(/\p{Surrogate}/gu, "\ufffd")),
  JSON.stringify(secret).slice(1, -1),
];

const quoted = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

const longestFirst = (texts: readonly string[]): string[] => [...new Set(texts)].sort((a, b) => b.length - a.length);

const PRIVATE_KEY = "-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)";
/** Bounded, so that the cost of a long text stays linear. */
const URL_CREDENTIALS = "(?<=://)[^\\s/?#\"']{0,200}:[^\\s/?#\"']{0,200}(?=@)";

/**
 * Creates a function that removes secrets from a text: in plain form, as in JSON or in a URL, and in base64. It also
 * removes what is recognizable as a secret: private keys, and credentials in a URL.
 *
 * @param secrets values that must not be shown; those with fewer than four characters are ignored
 */
export const redactor = (secrets: Iterable<string>): ((text: string) => string) => {
  const searched = [...new Set(secrets)]
    .filter(({ length }) => length <= LONGEST)
    .flatMap(parts)
    .filter((part) => part.length >= SHORTEST && !WORDS.has(part));
  const sources = [
    ...longestFirst(searched.flatMap(forms)).map(quoted),
    // The characters next to the core contain part of the secret's first and last byte.
    ...longestFirst(searched.flatMap(base64Cores)).map((core) => `[\\w+/-]{0,2}${quoted(core)}[\\w+/-]{0,2}=*`),
    PRIVATE_KEY,
    URL_CREDENTIALS,
  ];
  // One pattern and one pass, so that the marker of one secret is not searched for others.
  const pattern = new RegExp(sources.join("|"), "g");
  return (text) => text.replace(pattern, SENSITIVE);
};

/** The same value with every string in it redacted, including keys. */
export const redactDeep = <T>(value: T, redact: (text: string) => string): T => {
  const walk = (part: unknown): unknown => {
    if (typeof part === "string") return redact(part);
    if (typeof part === "number") return redact(String(part)) === String(part) ? part : SENSITIVE;
    if (Array.isArray(part)) return part.map(walk);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [redact(key), walk(inner)]));
  };
  return walk(value) as T;
};
