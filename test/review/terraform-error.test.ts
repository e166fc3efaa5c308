import { explainedError, firstError } from "../../review/terraform-error";

/** A resource's error as Terraform prints it: where, then why, wrapped to the width of its box. */
const boxed = (title: string, why: string): string => `╷
│ Error: ${title}
│
│   with helm_release.created-namespace_Release_41857E77,
│   on cdk.tf.json line 70, in resource.helm_release.created-namespace_Release_41857E77:
│   70:       }
│
${why
  .split("\n")
  .map((line) => `│ ${line}`)
  .join("\n")}
╵`;

const plain = (title: string, why: string): string => boxed(title, why).replace(/^[│╷╵] ?/gm, "");

describe.each([
  ["in its box", boxed],
  ["without it", plain],
])("an error %s", (_, print) => {
  test("is told by its cause, not by its place", () => {
    expect(firstError(print("Failed to check", "something that\nis broken\n\nand more"))).toBe(
      "Failed to check: something that is broken",
    );
  });

  test("of a place alone is its title", () => {
    expect(firstError(print('configmaps "x" already exists', ""))).toBe('configmaps "x" already exists');
  });

  test.each([
    [
      "a kubeconfig that is missing",
      "Failed to check installed release version",
      "Kubernetes cluster unreachable: stat /nonexistent/config: no such file or\ndirectory",
      "the kubeconfig /nonexistent/config does not exist; put it there, or name another in monitoring.kubernetes.configPath",
    ],
    [
      "no kubeconfig at all",
      'Get "http://localhost/apis/batch/v1/namespaces/m/cronjobs/p": dial tcp [::1]:80: connect: connection refused',
      "",
      "the kubeconfig cannot be used: Terraform would ask localhost instead of the cluster; check monitoring.kubernetes.configPath",
    ],
    [
      "an unknown context",
      "Provider configuration: cannot load Kubernetes client config",
      'context "other" does not exist',
      'the kubeconfig has no context "other"; set monitoring.kubernetes.context to one that "kubectl config get-contexts" lists',
    ],
    [
      "a server that refuses",
      "Failed to check installed release version",
      'Kubernetes cluster unreachable: Get "https://127.0.0.1:9/version": dial tcp\n127.0.0.1:9: connect: connection refused',
      "the API server https://127.0.0.1:9 cannot be reached (connection refused); check the network, and the server's address in the kubeconfig",
    ],
    [
      "a certificate that is not trusted",
      'Get "https://10.0.0.1:6443/api/v1/namespaces/m": tls: failed to verify certificate: x509: certificate signed by unknown authority',
      "",
      "the API server https://10.0.0.1:6443 cannot be reached (tls: failed to verify certificate: x509: certificate signed by unknown authority); check the network, and the server's address in the kubeconfig",
    ],
    [
      "a missing namespace",
      'namespaces "monitoring" not found',
      "",
      "the namespace monitoring does not exist; create it, or set monitoring.namespace.create to true",
    ],
    [
      "a missing definition",
      "installation failed",
      "execution error at (registry-warden-rules/templates/prometheus-rule.yaml:2:4): the cluster has no PrometheusRule: install the CRDs of the Prometheus operator, or set monitoring.rules.delivery to rules-file",
      "the cluster has no PrometheusRule; install the CRDs of the Prometheus operator, or set monitoring.rules.delivery to rules-file",
    ],
    [
      "an object that exists",
      'cronjobs.batch "registry-probe" already exists',
      "",
      "registry-probe of cronjobs exists already and is not in the state; take it over with adopt in the site, or delete it",
    ],
    [
      "a release that exists",
      "installation failed",
      "cannot re-use a name that is still in use",
      "a Helm release of this name exists already and is not in the state; the runbook docs/runbooks/terraform-state.md takes it over",
    ],
    ["what has no hint", "Invalid value", "it is too long", "Invalid value: it is too long"],
  ])("of %s says what to do", (_, title, why, told) => {
    expect(explainedError(print(title, why))).toBe(told);
  });
});

test("of several errors the first is told", () => {
  expect(firstError("Warning: zero\n\nError: one\n\nError: two")).toBe("one");
  expect(firstError("Error: one\n\nWarning: two\n\nthree")).toBe("one");
});

test("what does not come from the cluster is told as it is: a state that cannot be reached is another matter", () => {
  const output = 'Error: Failed to get state\n\nGet "https://state.example.org/monitoring": dial tcp: no such host';
  expect(explainedError(output)).toBe(firstError(output));
});

test("an output without an error is told on one line", () => {
  expect(firstError("")).toBe("no output");
  expect(firstError("one\n\n  two\n")).toBe("one two");
});
