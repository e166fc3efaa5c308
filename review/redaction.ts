/** What replaces a secret. */
export const SENSITIVE = "(sensitive value)";

/** A shorter one would turn up by chance, and what it hides could be guessed from what is left. */
const SHORTEST = 4;

/** A line of a secret of several lines, for example of a private key; a shorter one is hardly a secret by itself. */
const SHORTEST_LINE = 16;

/** Words of every configuration. A secret like this hides nothing. */
const WORDS = new Set(["true", "false", "null", "none", "root", "admin"]);

/** Nobody has a longer secret; a program that is marked so that no plan prints it is longer. */
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
 * The part of a base64 text that a secret decides by itself, for each of the three places at which it can start in what
 * was encoded: an Authorization header holds it behind a user's name.
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
  // Half a surrogate pair has no encoding.
  encodeURIComponent(secret.replace(/\p{Surrogate}/gu, "\ufffd")),
  JSON.stringify(secret).slice(1, -1),
];

const quoted = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

const longestFirst = (texts: readonly string[]): string[] => [...new Set(texts)].sort((a, b) => b.length - a.length);

const PRIVATE_KEY = "-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)";
/** Bounded, so that a long text without an end costs no more than its length. */
const URL_CREDENTIALS = "(?<=://)[^\\s/?#\"']{0,200}:[^\\s/?#\"']{0,200}(?=@)";

/**
 * Makes the function that takes secrets out of a text: as they are, as they are written in JSON or in a URL, and in base64.
 * It also takes out what is a secret by its own form: private keys, and credentials in a URL.
 *
 * @param secrets values that must not be shown; those of fewer than four characters are not searched for
 */
export const redactor = (secrets: Iterable<string>): ((text: string) => string) => {
  const searched = [...new Set(secrets)]
    .filter(({ length }) => length <= LONGEST)
    .flatMap(parts)
    .filter((part) => part.length >= SHORTEST && !WORDS.has(part));
  const sources = [
    ...longestFirst(searched.flatMap(forms)).map(quoted),
    // The characters beside the core hold a part of the secret's first and last byte.
    ...longestFirst(searched.flatMap(base64Cores)).map((core) => `[\\w+/-]{0,2}${quoted(core)}[\\w+/-]{0,2}=*`),
    PRIVATE_KEY,
    URL_CREDENTIALS,
  ];
  // One pattern and one pass: the marker of one secret is not searched for another.
  const pattern = new RegExp(sources.join("|"), "g");
  return (text) => text.replace(pattern, SENSITIVE);
};

/** The same value with every string in it, keys too, redacted. */
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
