import { killAll, type Mutant, type Mutants } from "./mutants";

const AUTHORIZER = "authorizer.test.ts";
const AUTHORIZATION = "authorization.test.ts";
const CREDENTIALS = "credentials.test.ts";
const CERTIFICATES = "certificates.test.ts";
const HTTP = "http.test.ts";
const HOSTILE = "hostile.test.ts";
const WALK = "walk.test.ts";
const BLOBS = "blob-check.test.ts";
const PUSH = "push.test.ts";
const RATE_LIMIT = "rate-limit.test.ts";

/** Where credentials may go. */
const CREDENTIALS_STAY: readonly Mutant[] = [
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
  {
    file: "http.ts",
    from: "`${encodeURIComponent(name)}=...`",
    to: "`${name}=${value}`",
    tests: HTTP,
  },
  {
    file: "listing.ts",
    from: "new URL(answer.origin + url.pathname + url.search)",
    to: "url",
    tests: "listing.test.ts",
  },
  {
    file: "push.ts",
    from: "return `${upload.pathname}${upload.search}`;",
    to: "return upload.href;",
    tests: PUSH,
  },
  {
    file: "push.ts",
    from: 'method === "DELETE" ? "pull,push,delete" : "pull,push"',
    to: '"pull,push,delete"',
    tests: PUSH,
  },
  { file: "credentials.ts", from: "if (!HELPER_NAME.test(name))", to: "if (false)", tests: CREDENTIALS },
  { file: "credentials.ts", from: '.replace(/\\0+$/, "")', to: "", tests: CREDENTIALS },
  { file: "credentials.ts", from: "colon > 0", to: "colon >= 0", tests: CREDENTIALS },
  {
    file: "reference.ts",
    from: 'url.username !== "" || url.password !== ""',
    to: "false",
    tests: "reference.test.ts",
  },
];

/** Which certificates are trusted. */
const TRUST: readonly Mutant[] = [
  { file: "certificates.ts", from: "[...distinct.values(), own]", to: "[own]", tests: CERTIFICATES },
  { file: "certificates.ts", from: "...certificatesIn(NODE_EXTRA_CA_CERTS)", to: "", tests: CERTIFICATES },
  { file: "certificates.ts", from: "new X509Certificate(pem);", to: "", tests: CERTIFICATES },
  { file: "http.ts", from: "options.insecureSkipTlsVerify !== true", to: "false", tests: HTTP },
  { file: "http.ts", from: "trustedCertificates(options.ca, process.env)", to: "[]", tests: HTTP },
  { file: "http.ts", from: "if (UNTRUSTED.test(code))", to: "if (false)", tests: HTTP },
];

/** What has an end, whatever a server answers. */
const BOUNDS: readonly Mutant[] = [
  { file: "authorization.ts", from: "redirects === MOST_REDIRECTS", to: "redirects === 10_000", tests: AUTHORIZER },
  { file: "authorization.ts", from: "limit: TOKEN_ANSWER_LIMIT", to: "limit: Infinity", tests: AUTHORIZER },
  { file: "authorization.ts", from: "others.slice(0, MOST_SCOPES)", to: "others", tests: AUTHORIZATION },
  {
    file: "authorization.ts",
    from: "if (this.#tokens.size >= MOST_TOKENS) this.#tokens.clear();",
    to: "",
    tests: AUTHORIZER,
  },
  { file: "credentials.ts", from: "if (output.length > 1024 * 1024) child.kill();", to: "", tests: CREDENTIALS },
  { file: "http.ts", from: "announced > this.#exchange.limit", to: "false", tests: HTTP },
  { file: "http.ts", from: "this.#received > this.#exchange.limit", to: "this.#received > 1e8", tests: HOSTILE },
  { file: "http.ts", from: "this.#received >= REFUSAL_LIMIT", to: "this.#received >= 1e8", tests: HOSTILE },
  { file: "http.ts", from: "10 * this.#timeout +", to: "Infinity +", tests: HOSTILE },
  { file: "http.ts", from: "++this.#interim > MOST_INTERIM", to: "false", tests: HOSTILE },
  { file: "client.ts", from: "if (this.#silence < SILENCE * this.concurrency) return;", to: "return;", tests: WALK },
  { file: "client.ts", from: "silent ? this.#silence + 1 : 0", to: "this.#silence + Number(silent)", tests: WALK },
  { file: "listing.ts", from: "if (this.#barren.has(next.href))", to: "if (false)", tests: HOSTILE },
  { file: "listing.ts", from: "while (names.size < MOST_NAMES)", to: "while (true)", tests: "listing.test.ts" },
  { file: "referrers.ts", from: "descriptors.length > MOST_OF_SUBJECT", to: "false", tests: "referrers.test.ts" },
  { file: "newest.ts", from: "`${depth} ${reference}`", to: "reference", tests: "newest.test.ts" },
  { file: "digest.ts", from: "text.length > 256 ||", to: "", tests: "digest.test.ts" },
];

/** What is believed of a manifest and of a blob. */
const TRUTH: readonly Mutant[] = [
  {
    file: "check.ts",
    from: 'if (!whole) return failed("digest-mismatch"',
    to: 'if (false) return failed("digest-mismatch"',
    tests: "check.test.ts",
  },
  {
    file: "check.ts",
    from: "expected.size !== null && body.length !== expected.size",
    to: "false",
    tests: "check.test.ts",
  },
  { file: "check.ts", from: "named !== digest && !matches(payload, named)", to: "false", tests: "check.test.ts" },
  {
    file: "digest.ts",
    from: "!isRegistered(algorithm) || digest === `${algorithm}:${hash(algorithm, bytes)}`",
    to: "true",
    tests: "digest.test.ts",
  },
  {
    file: "manifest.ts",
    from: 'if (index && image) throw new MalformedManifest("the body has both manifests and config or layers");',
    to: "",
    tests: "manifest.test.ts",
  },
  { file: "manifest.ts", from: "|| size < 0", to: "", tests: "manifest.test.ts" },
  { file: "blob-check.ts", from: "length !== null && size !== null && length !== size", to: "false", tests: WALK },
  { file: "blob-check.ts", from: "answer.received > 0 ? null :", to: "true ? null :", tests: BLOBS },
  { file: "blob-check.ts", from: "total !== undefined && Number(total) !== size", to: "false", tests: WALK },
  {
    file: "blob-check.ts",
    from: "const whole = actual === null || actual === digest;",
    to: "const whole = true;",
    tests: WALK,
  },
  {
    file: "blob-check.ts",
    from: "if (failure === null) this.#takesNoRange();",
    to: "this.#takesNoRange();",
    tests: BLOBS,
  },
  { file: "newest.ts", from: "|| !matches(body, digest)", to: "", tests: "newest.test.ts" },
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
  { file: "walk.ts", from: ".filter((name) => isInShard(name, this.#shard))", to: "", tests: WALK },
  { file: "repository.ts", from: '"proxy" && !isRoot &&', to: '"proxy" &&', tests: WALK },
  { file: "repository.ts", from: "this.#foreign.delete(blob);", to: "{}", tests: WALK },
  {
    file: "push.ts",
    from: "if (answer.status !== 201) throw new WriteRefused(answer.status, `the blob",
    to: "if (false) throw new WriteRefused(answer.status, `the blob",
    tests: PUSH,
  },
  { file: "push.ts", from: ")).status === 201;", to: ")).status < 300;", tests: PUSH },
];

/** When it is asked again, and how soon. */
const PATIENCE: readonly Mutant[] = [
  { file: "client.ts", from: "this.#gate.hold(delay)", to: "undefined", tests: RATE_LIMIT },
  { file: "client.ts", from: "(outcome.status === 429 || attempt <= 2)", to: "true", tests: RATE_LIMIT },
  {
    file: "gate.ts",
    from: "Math.max(this.#next, performance.now() + pause)",
    to: "performance.now() + pause",
    tests: "gate.test.ts",
  },
  { file: "gate.ts", from: "if (now - this.#refusedAt < BURST) return;", to: "", tests: "gate.test.ts" },
  { file: "gate.ts", from: "Math.max(pace / 2, SLOWEST)", to: "pace / 2", tests: "gate.test.ts" },
  { file: "retry.ts", from: "asked > LONGEST_PAUSE ? null :", to: "", tests: "retry.test.ts" },
  { file: "retry.ts", from: ", LONGEST_BACKOFF)", to: ", Infinity)", tests: "retry.test.ts" },
  { file: "push.ts", from: '&& request.method !== "DELETE"', to: "", tests: PUSH },
  { file: "push.ts", from: "this.#gate.pass();", to: "", tests: PUSH },
];

export const OCI: Mutants = {
  folder: "registry/oci",
  mutants: [...CREDENTIALS_STAY, ...TRUST, ...BOUNDS, ...TRUTH, ...PATIENCE],
};

export const run = async (): Promise<void> => killAll(OCI);
