/** The algorithm and the first 12 digits, enough to identify it. */
export const shortDigest = (digest: string | null): string =>
  digest === null ? "-" : digest.replace(/^([^:]+:[^:]{12}).*$/s, "$1");

/** `app:v1 (+2)`: the repository with its first tag, and how many more lead to the object. */
export const nameOf = (repository: string | null, tags: readonly string[]): string => {
  const [first] = tags;
  const name = repository ?? "(no repository)";
  if (first === undefined) return name;
  return `${name}:${first}${tags.length > 1 ? ` (+${tags.length - 1})` : ""}`;
};
