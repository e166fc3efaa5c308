import { type FolderMutants, killAll, type SourceMutant } from "./mutants";

const AUTHORIZER = "authorizer.test.ts";
const AUTHORIZATION = "authorization.test.ts";
const HOSTILE = "hostile.test.ts";
const WALK = "walk.test.ts";
const RATE_LIMIT = "rate-limit.test.ts";

/** Where credentials may go. */
const CREDENTIALS_STAY: readonly SourceMutant[] = [
  { file: "authorization.ts", from: '["http:", "https:"].includes(realm.protocol)', to: "true", tests: AUTHORIZER },
  {
    file: "authorization.ts",
    from: 'realm.protocol === "https:" || this.#registry.protocol === "http:"',
    to: "true",
    tests: AUTHORIZER,
  },
  {
    file: "authorization.ts",
    from: 'if (from.protocol === "https:" && to.protocol !== "https:") return false;',
    to: "",
    tests: AUTHORIZER,
  },
  {
    file: "authorization.ts",
    from: "to.hostname.endsWith(`.${service.hostname}`)",
    to: "to.hostname.endsWith(service.hostname)",
    tests: AUTHORIZER,
  },
  { file: "authorization.ts", from: "if (request.body !== undefined) return answer;", to: "", tests: AUTHORIZER },
  { file: "authorization.ts", from: "headers = {};", to: "", tests: AUTHORIZER },
  { file: "authorization.ts", from: "|| !VISIBLE_ASCII.test(value)", to: "", tests: AUTHORIZER },
  { file: "authorization.ts", from: "if (answer.status !== 200) return null;", to: "", tests: AUTHORIZER },
  { file: "client.ts", from: "if (next.origin !== answer.origin) authorization = null;", to: "", tests: AUTHORIZATION },
  { file: "client.ts", from: "|| answer.origin !== this.#origin", to: "", tests: AUTHORIZATION },
  { file: "client.ts", from: "&& !this.#admitted) throw", to: "&& false) throw", tests: AUTHORIZATION },
  { file: "http.ts", from: '&& target.username === ""', to: "", tests: HOSTILE },
  { file: "http.ts", from: "`${encodeURIComponent(name)}=...`", to: "`${name}=${value}`" },
  { file: "listing.ts", from: "new URL(answer.origin + url.pathname + url.search)", to: "url" },
  { file: "push.ts", from: "return `${upload.pathname}${upload.search}`;", to: "return upload.href;" },
  { file: "push.ts", from: 'method === "DELETE" ? "pull,push,delete" : "pull,push"', to: '"pull,push,delete"' },
  { file: "credentials.ts", from: "if (!HELPER_NAME.test(name))", to: "if (false)" },
  { file: "credentials.ts", from: '.replace(/\\0+$/, "")', to: "" },
  { file: "credentials.ts", from: "colon > 0", to: "colon >= 0" },
  { file: "reference.ts", from: 'url.username !== "" || url.password !== ""', to: "false" },
];

/** Which certificates are trusted. */
const TRUST: readonly SourceMutant[] = [
  { file: "certificates.ts", from: "[...distinct.values(), own]", to: "[own]" },
  { file: "certificates.ts", from: "...certificatesIn(NODE_EXTRA_CA_CERTS)", to: "" },
  { file: "certificates.ts", from: "new X509Certificate(pem);", to: "" },
  { file: "http.ts", from: "options.insecureSkipTlsVerify !== true", to: "false" },
  { file: "http.ts", from: "trustedCertificates(options.ca, process.env)", to: "[]" },
  { file: "http.ts", from: "if (UNTRUSTED.test(code))", to: "if (false)" },
];

/** What has an end, whatever a server answers. */
const BOUNDS: readonly SourceMutant[] = [
  { file: "authorization.ts", from: "redirects === MOST_REDIRECTS", to: "redirects === 10_000", tests: AUTHORIZER },
  { file: "authorization.ts", from: "limit: TOKEN_ANSWER_LIMIT", to: "limit: Infinity", tests: AUTHORIZER },
  { file: "authorization.ts", from: "others.slice(0, MOST_SCOPES)", to: "others" },
  {
    file: "authorization.ts",
    from: "if (this.#tokens.size >= MOST_TOKENS) this.#tokens.clear();",
    to: "",
    tests: AUTHORIZER,
  },
  { file: "credentials.ts", from: "if (output.length > 1024 * 1024) child.kill();", to: "" },
  { file: "http.ts", from: "announced > this.#exchange.limit", to: "false" },
  { file: "http.ts", from: "this.#received > this.#exchange.limit", to: "this.#received > 1e8", tests: HOSTILE },
  { file: "http.ts", from: "this.#received >= REFUSAL_LIMIT", to: "this.#received >= 1e8", tests: HOSTILE },
  { file: "http.ts", from: "10 * this.#timeout +", to: "Infinity +", tests: HOSTILE },
  { file: "http.ts", from: "++this.#interim > MOST_INTERIM", to: "false", tests: HOSTILE },
  { file: "client.ts", from: "if (this.#silence < SILENCE * this.concurrency) return;", to: "return;", tests: WALK },
  { file: "client.ts", from: "silent ? this.#silence + 1 : 0", to: "this.#silence + Number(silent)", tests: WALK },
  { file: "listing.ts", from: "if (this.#barren.has(next.href))", to: "if (false)", tests: HOSTILE },
  { file: "listing.ts", from: "while (names.size < MOST_NAMES)", to: "while (true)" },
  { file: "referrers.ts", from: "descriptors.length > MOST_OF_SUBJECT", to: "false" },
  { file: "newest.ts", from: "`${depth} ${reference}`", to: "reference" },
  { file: "digest.ts", from: "text.length > 256 ||", to: "" },
];

/** What is believed of a manifest and of a blob. */
const TRUTH: readonly SourceMutant[] = [
  {
    file: "check.ts",
    from: 'if (!whole) return failed("digest-mismatch"',
    to: 'if (false) return failed("digest-mismatch"',
  },
  { file: "check.ts", from: "expected.size !== null && body.length !== expected.size", to: "false" },
  { file: "check.ts", from: "named !== digest && !matches(payload, named)", to: "false" },
  {
    file: "digest.ts",
    from: "!isRegistered(algorithm) || digest === `${algorithm}:${hash(algorithm, bytes)}`",
    to: "true",
  },
  {
    file: "manifest.ts",
    from: 'if (index && image) throw new MalformedManifest("the body has both manifests and config or layers");',
    to: "",
  },
  { file: "manifest.ts", from: "|| size < 0", to: "" },
  { file: "blob-check.ts", from: "length !== null && size !== null && length !== size", to: "false", tests: WALK },
  { file: "blob-check.ts", from: "answer.received > 0 ? null :", to: "true ? null :" },
  { file: "blob-check.ts", from: "total !== undefined && Number(total) !== size", to: "false", tests: WALK },
  {
    file: "blob-check.ts",
    from: "const whole = actual === null || actual === digest;",
    to: "const whole = true;",
    tests: WALK,
  },
  { file: "blob-check.ts", from: "if (failure === null) this.#takesNoRange();", to: "this.#takesNoRange();" },
  { file: "newest.ts", from: "|| !matches(body, digest)", to: "" },
  { file: "repository.ts", from: "node.size !== null && node.size !== size", to: "false", tests: WALK },
  { file: "repository.ts", from: "this.#compareSizes(known, size);", to: "", tests: WALK },
  {
    file: "repository.ts",
    from: "name === null ? isIndexType(descriptor.mediaType) :",
    to: "name === null ? false :",
    tests: WALK,
  },
  {
    file: "repository.ts",
    from: "node.layers = manifest.layers.map((digest) => this.#blob(digest, null));",
    to: "",
    tests: WALK,
  },
  {
    file: "repository.ts",
    from: 'this.#options.role === "proxy" ? upstreamFailure(answer)',
    to: "true ? upstreamFailure(answer)",
    tests: WALK,
  },
  { file: "walk.ts", from: ".filter((name) => isInShard(name, this.#shard))", to: "" },
  { file: "repository.ts", from: '"proxy" && !isRoot &&', to: '"proxy" &&', tests: WALK },
  { file: "repository.ts", from: "this.#foreign.delete(blob);", to: "{}", tests: WALK },
  {
    file: "push.ts",
    from: "if (answer.status !== 201) throw new WriteRefused(answer.status, `the blob",
    to: "if (false) throw new WriteRefused(answer.status, `the blob",
  },
  { file: "push.ts", from: ")).status === 201;", to: ")).status < 300;" },
];

/** When it is asked again, and how soon. */
const PATIENCE: readonly SourceMutant[] = [
  { file: "client.ts", from: "this.#gate.hold(delay)", to: "undefined", tests: RATE_LIMIT },
  { file: "client.ts", from: "(outcome.status === 429 || attempt <= 2)", to: "true", tests: RATE_LIMIT },
  { file: "gate.ts", from: "Math.max(this.#next, performance.now() + pause)", to: "performance.now() + pause" },
  { file: "gate.ts", from: "if (now - this.#refusedAt < BURST) return;", to: "" },
  { file: "gate.ts", from: "Math.max(pace / 2, SLOWEST)", to: "pace / 2" },
  { file: "retry.ts", from: "asked > LONGEST_PAUSE ? null :", to: "" },
  { file: "retry.ts", from: ", LONGEST_BACKOFF)", to: ", Infinity)" },
  { file: "push.ts", from: '&& request.method !== "DELETE"', to: "" },
  { file: "push.ts", from: "this.#gate.pass();", to: "" },
];

export const OCI_MUTANTS: FolderMutants = {
  folder: "registry/oci",
  mutants: [...CREDENTIALS_STAY, ...TRUST, ...BOUNDS, ...TRUTH, ...PATIENCE],
};

export const runBench = async (): Promise<void> => killAll(OCI_MUTANTS);
