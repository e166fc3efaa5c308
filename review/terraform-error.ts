/** Lines without the box that Terraform draws around an error. */
const unboxed = (output: string): string[] => output.split("\n").map((line) => line.replace(/^[╷│╵|\s]+/, "").trim());

/** The position in the configuration: it precedes the cause, and is less informative. */
const LOCATION = /^(with |on .* line \d+)/;

const paragraphs = (lines: readonly string[]): string[][] =>
  lines
    .join("\n")
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.split("\n").filter((line) => line !== ""));

/** The lines of the first error: title, position and cause. */
const firstBlock = (output: string): string[] => {
  const lines = unboxed(output);
  const start = lines.findIndex((line) => line.startsWith("Error: "));
  if (start === -1) return [];
  const next = lines.findIndex((line, index) => index > start && /^(Error|Warning): /.test(line));
  return lines.slice(start, next === -1 ? undefined : next);
};

/** The first error in Terraform's output with the first paragraph of its explanation, on one line, without its box. */
export const firstError = (output: string): string => {
  const [title, ...rest] = firstBlock(output);
  if (title === undefined) return unboxed(output).join(" ").replace(/\s+/g, " ").trim() || "no output";
  const [explanation = []] = paragraphs(rest).filter(([first]) => first !== undefined && !LOCATION.test(first));
  const what = title.slice("Error: ".length).replace(/:$/, "");
  const why = explanation.join(" ");
  return why === "" || why.startsWith(what) ? what : `${what}: ${why}`;
};

/** The cause of an error in an operator's terms, and what to do about it. */
interface KnownError {
  readonly pattern: RegExp;
  readonly told: (match: RegExpExecArray) => string;
}

/** The messages of the providers kubernetes 2.38 and helm 3.1, and of the API server. The first match counts. */
const KNOWN_ERRORS: readonly KnownError[] = [
  {
    pattern: /stat (\S+): no such file or directory/,
    told: ([, file]) =>
      `the kubeconfig ${file} does not exist; put it there, or name another in monitoring.kubernetes.configPath`,
  },
  {
    // Without a kubeconfig the provider connects to the local machine, without TLS.
    pattern: /"http:\/\/localhost\/api/,
    told: () =>
      "the kubeconfig cannot be used: Terraform would ask localhost instead of the cluster; check monitoring.kubernetes.configPath",
  },
  {
    pattern: /context "([^"]*)" does not exist/,
    told: ([, context]) =>
      `the kubeconfig has no context ${JSON.stringify(context)}; set monitoring.kubernetes.context to one that "kubectl config get-contexts" lists`,
  },
  {
    pattern:
      /"(https?:\/\/[^/"]+)[^"]*": .*?(connection refused|no such host|i\/o timeout|no route to host|network is unreachable|deadline exceeded|EOF|(?:tls|x509): .*)/,
    told: ([, server, why]) =>
      `the API server ${server} cannot be reached (${why}); check the network, and the server's address in the kubeconfig`,
  },
  {
    pattern: /namespaces "([^"]*)" not found/,
    told: ([, namespace]) =>
      `the namespace ${namespace} does not exist; create it, or set monitoring.namespace.create to true`,
  },
  {
    pattern: /no matches for kind "PrometheusRule"/,
    told: () =>
      "the cluster has no PrometheusRule; install the CRDs of the Prometheus operator, or set monitoring.rules.delivery to rules-file",
  },
  {
    pattern: /the cluster has no PrometheusRule: (install .*?rules-file)/,
    told: ([, hint]) => `the cluster has no PrometheusRule; ${hint}`,
  },
  {
    pattern: /(\w+)(?:\.[\w.]+)? "([^"]*)" already exists/,
    told: ([, kind, name]) =>
      `${name} of ${kind} exists already and is not in the state; take it over with adopt in the site, or delete it`,
  },
  {
    pattern: /cannot re-use a name that is still in use/,
    told: () =>
      "a Helm release of this name exists already and is not in the state; the runbook docs/runbooks/terraform-state.md takes it over",
  },
];

/** Whether an error is about objects in the cluster: an unreachable state results in the same messages. */
const isOfCluster = (block: readonly string[]): boolean =>
  block.some((line) => /\b(kubernetes_\w+|helm_release)\.|\/(kubernetes|helm)"\]/.test(line));

/** The first error in Terraform's output, with what to do about it if that is known, on one line. */
export const explainedError = (output: string): string => {
  const error = firstError(output);
  if (!isOfCluster(firstBlock(output))) return error;
  for (const { pattern, told } of KNOWN_ERRORS) {
    const match = pattern.exec(error);
    if (match !== null) return told(match);
  }
  return error;
};
