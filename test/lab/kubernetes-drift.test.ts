import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { runWarden } from "../cli/run-warden";
import { type Json, SITES } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { temporaryFolder, waitFor } from "./process";

jest.setTimeout(180_000);

describeWith(
  ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "prometheusrule-crd", "openssl"],
  "the manifests of a site in a real API server, and what of them changes",
  ({ kubectl, "prometheusrule-crd": definition }) => {
    const folder = temporaryFolder("kubernetes-drift");
    const { PATH } = process.env;
    let cluster: KubernetesCluster;

    const run = (args: string[], input = "") =>
      spawnSync(kubectl.command[0], ["--kubeconfig", cluster.kubeconfig, ...args], { encoding: "utf8", input });
    const done = (args: string[], input?: string): string => {
      const { status, stdout, stderr } = run(args, input);
      if (status !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    /** The file of a site whose objects have their own namespace. */
    const siteIn = (name: keyof typeof SITES, namespace: string, bend: (input: Json) => void = () => {}): string => {
      const input: Json = structuredClone(SITES[name]);
      input.monitoring.kubernetes = { configPath: cluster.kubeconfig };
      input.monitoring.namespace.name = namespace;
      bend(input);
      const file = join(folder, `${name}-${namespace}.json`);
      writeFileSync(file, JSON.stringify(input));
      return file;
    };
    const manifests = async (file: string): Promise<string> => {
      const { code, out, err } = await runWarden("manifests", "--site", file);
      expect([code, err]).toEqual([0, ""]);
      return out;
    };
    const drift = async (file: string): Promise<Json> => {
      const { code, out, err } = await runWarden("drift", "--cluster", "--json", "--site", file);
      expect(err).toBe("");
      const { findings } = JSON.parse(out);
      expect(code).toBe(findings.length > 0 ? 1 : 0);
      return findings;
    };

    beforeAll(async () => {
      process.env.PATH = `${join(kubectl.command[0], "..")}:${PATH}`;
      cluster = await startKubernetes();
      done(["create", "--filename", definition.command[0]]);
      const { metadata } = parse(readFileSync(definition.command[0], "utf8"));
      await waitFor("PrometheusRule served", () =>
        Promise.resolve(run(["get", metadata.name.split(".")[0], "--all-namespaces"]).status === 0),
      );
    });
    afterAll(async () => {
      process.env.PATH = PATH;
      await cluster?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    test.each(["reference", "small"] as const)(
      "those of the %s site are taken, each field known, and the second time nothing changes",
      async (name) => {
        const namespace = `taken-${name}`;
        if (name === "reference") done(["create", "namespace", namespace]);
        const text = await manifests(siteIn(name, namespace));
        const apply = () => done(["apply", "--server-side", "--validate=strict", "--filename", "-"], text);
        const versions = () =>
          JSON.parse(done(["get", "--filename", "-", "--output", "json"], text)).items.map(
            ({ kind, metadata }: Json) => [kind, metadata.resourceVersion],
          );
        apply();
        const first = versions();
        apply();
        // Controllers also write to a namespace.
        const withoutNamespace = (list: [string, string][]) => list.filter(([kind]) => kind !== "Namespace");
        expect(withoutNamespace(versions())).toEqual(withoutNamespace(first));
        expect(first.map(([kind]: [string]) => kind)).toEqual(
          parseAllDocuments(text).map((document) => document.toJS().kind),
        );
      },
    );

    describe("drift", () => {
      const namespace = "drift";
      const own = ["--namespace", namespace];
      const patch = (resource: string, change: object) =>
        done([...own, "patch", ...resource.split("/"), "--type", "merge", "--patch", JSON.stringify(change)]);
      let file: string;

      beforeAll(async () => {
        done(["create", "namespace", namespace]);
        file = siteIn("reference", namespace, ({ monitoring }) => {
          monitoring.probes[0].shards = 2;
          monitoring.probes[0].certificateAuthority = { configMap: "authority", key: "ca.crt" };
        });
      });
      beforeEach(async () => {
        const text = await manifests(file);
        // Fields added by other managers would stay otherwise.
        done(["delete", "--ignore-not-found", "--filename", "-"], text);
        done(["apply", "--server-side", "--filename", "-"], text);
        const secret = ["create", "secret", "generic", "registry-probe-credentials", "--from-literal=REG_USER=u"];
        for (const make of [
          [...secret, "--from-literal=REG_PASS=planted-password"],
          ["create", "configmap", "authority", "--from-literal=ca.crt=pem"],
        ]) {
          run([...own, "delete", ...make.slice(1, 2), make[2] === "generic" ? (make[3] ?? "") : (make[2] ?? "")]);
          done([...own, ...make]);
        }
      });

      test("is none right after, whoever has put labels of his own on an object", async () => {
        done([...own, "label", "cronjob", "--all", "team=registries"]);
        expect(await drift(file)).toEqual([]);
      });

      const container = ["spec", "jobTemplate", "spec", "template", "spec", "containers"];
      test.each<[string, string, object, RegExp, string, string]>([
        [
          "a suspended CronJob",
          "cronjob/registry-integrity-probe",
          { spec: { suspend: true } },
          /^CronJob registry-integrity-probe: spec\.suspend$/,
          "nothing",
          "true",
        ],
        [
          "another schedule",
          "cronjob/registry-integrity-probe",
          { spec: { schedule: "0 4 * * *" } },
          /^CronJob .*: spec\.schedule$/,
          "*/15 * * * *",
          "0 4 * * *",
        ],
        [
          "a time zone",
          "cronjob/registry-integrity-probe",
          { spec: { timeZone: "Etc/UTC" } },
          /: spec\.timeZone$/,
          "nothing",
          "Etc/UTC",
        ],
        [
          "no fewer failed shards",
          "cronjob/registry-integrity-probe",
          { spec: { jobTemplate: { spec: { maxFailedIndexes: 0 } } } },
          /spec\.jobTemplate\.spec\.maxFailedIndexes$/,
          "2",
          "0",
        ],
        [
          "a right more than it needs",
          "clusterrole/drift-registry-integrity-probe",
          {
            rules: [
              { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
              { apiGroups: ["batch"], resources: ["cronjobs"], verbs: ["list"] },
              { apiGroups: [""], resources: ["secrets"], verbs: ["get"] },
            ],
          },
          /^ClusterRole drift-registry-integrity-probe: rules\[2\]$/,
          "nothing",
          '{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}',
        ],
        [
          "a label that is gone",
          "prometheusrule/registry-alerts",
          { metadata: { labels: { release: null } } },
          /^PrometheusRule registry-alerts: metadata\.labels\[release\]$/,
          "prometheus",
          "nothing",
        ],
        [
          "no rules",
          "prometheusrule/registry-alerts",
          { spec: { groups: [] } },
          /^PrometheusRule registry-alerts: spec\.groups\[/,
          "",
          "nothing",
        ],
      ])("tells %s", async (_, resource, change, what, expected, actual) => {
        patch(resource, change);
        const findings = await drift(file);
        expect(findings.length).toBeGreaterThan(0);
        for (const finding of findings) {
          expect(finding.what).toMatch(what);
          expect(finding.actual).toBe(actual);
          if (expected !== "") expect(finding.expected).toBe(expected);
        }
      });

      test("tells a container that was changed, by its name", async () => {
        const live = JSON.parse(done([...own, "get", "cronjob", "registry-integrity-probe", "--output", "json"]));
        const [probe] = container.reduce((at: Json, key) => at[key], live);
        probe.image = "node:0";
        probe.env.find(({ name }: Json) => name === "CONCURRENCY").value = "100";
        probe.securityContext.privileged = false;
        done(["replace", "--filename", "-"], JSON.stringify(live));
        expect((await drift(file)).map(({ what, actual }: Json) => [what.split("containers")[1], actual])).toEqual([
          ["[probe].image", "node:0"],
          ["[probe].env[CONCURRENCY].value", "100"],
        ]);
      });

      test("tells what is gone: rules, program, credentials and their keys, without a value of them", async () => {
        done([...own, "delete", "prometheusrule", "registry-alerts"]);
        done([...own, "delete", "configmap", "authority", "registry-integrity-dashboard"]);
        done(["delete", "clusterrolebinding", "drift-registry-integrity-probe"]);
        done([...own, "delete", "serviceaccount", "registry-integrity-probe"]);
        patch("secret/registry-probe-credentials", { data: { REG_PASS: null } });
        const { code, out } = await runWarden("drift", "--cluster", "--site", file);
        expect(code).toBe(1);
        expect(out).toBe(
          `cluster: 6 findings
  ConfigMap registry-integrity-dashboard: expected present, is missing
  ServiceAccount registry-integrity-probe: expected present, is missing
  ClusterRoleBinding drift-registry-integrity-probe: expected present, is missing
  PrometheusRule registry-alerts: expected present, is missing
  Secret registry-probe-credentials: key REG_PASS: expected present, is missing
  ConfigMap authority: expected present, is missing
`,
        );
        expect(out).not.toContain("planted-password");
      });

      test("tells a namespace that is not there as that alone", async () => {
        expect(await drift(siteIn("reference", "nowhere"))).toEqual([
          { what: "Namespace nowhere", expected: "present", actual: "missing" },
        ]);
      });
    });

    test("a cluster that cannot be asked is one line with what to do", async () => {
      const asked = (change: object) =>
        runWarden(
          "drift",
          "--cluster",
          "--site",
          siteIn("reference", "monitoring", ({ monitoring }) => Object.assign(monitoring.kubernetes, change)),
        );
      const refused = join(folder, "refused");
      writeFileSync(refused, readFileSync(cluster.kubeconfig, "utf8").replace(cluster.url, "https://127.0.0.1:9"));
      const stranger = join(folder, "stranger");
      writeFileSync(stranger, readFileSync(cluster.kubeconfig, "utf8").replace(cluster.token, "nobody"));
      for (const [change, line] of [
        [
          { configPath: "/nonexistent" },
          /^error: the kubeconfig \/nonexistent does not exist; put it there, or [^\n]*\n$/,
        ],
        [{ context: "other" }, /^error: [^\n]*context[^\n]*other[^\n]*; set monitoring\.kubernetes\.context [^\n]*\n$/],
        [{ configPath: refused }, /^error: the API server cannot be reached \([^\n]*refused[^\n]*\); check [^\n]*\n$/],
        [{ configPath: stranger }, /^error: [^\n]*logged in[^\n]*; use a kubeconfig [^\n]*\n$/],
      ] as const) {
        const { code, out, err } = await asked(change);
        expect({ code, out, err }).toEqual({ code: 2, out: "", err: expect.stringMatching(line) });
      }
    });
  },
);
