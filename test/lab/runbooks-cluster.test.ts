import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { commandsOf, type Document } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { objectsOf } from "../monitoring/objects";
import { site, synthesise } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { expectedPattern } from "./expected";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";

const reference = site("reference");
const { namespace, probes, pushgateway } = reference.monitoring;

/** Commands that ask the cluster, of the pages that have one. */
const inCluster = (page: Document) => commandsOf(page).filter(({ run }) => /\bkubectl /.test(run.text));
const pages = documentsOf(reference).filter((page) => inCluster(page).some(({ notRun }) => notRun === undefined));

describeWith(
  ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "prometheusrule-crd", "openssl"],
  "the commands of the runbooks that ask the cluster, in a real API server",
  ({ kubectl, "prometheusrule-crd": definition }) => {
    const home = mkdtempSync(join(tmpdir(), "warden-runbooks-"));
    let cluster: KubernetesCluster;

    const shell = (script: string, input = "") =>
      spawnSync("bash", ["-c", script], {
        encoding: "utf8",
        input,
        timeout: 60_000,
        env: {
          ...process.env,
          HOME: home,
          PATH: `${dirname(kubectl.command[0])}:${process.env.PATH}`,
          REG_USER: "probe",
          REG_PASS: "another-password",
        },
      });
    const done = (script: string, input?: string): void => {
      const { status, stderr } = shell(script, input);
      if (status !== 0) throw new Error(`${script}: ${stderr}`);
    };
    const list = (items: object[]): string => JSON.stringify({ apiVersion: "v1", kind: "List", items });

    beforeAll(async () => {
      cluster = await startKubernetes();
      mkdirSync(join(home, ".kube"));
      cpSync(cluster.kubeconfig, join(home, ".kube/config"));
      done(`kubectl create namespace ${namespace.name}`);
      done(`kubectl create --filename ${definition.command[0]}`);
      done(`kubectl wait --for condition=established --timeout 30s --filename ${definition.command[0]}`);
    }, 120_000);
    afterAll(async () => {
      await cluster?.stop();
      rmSync(home, { recursive: true });
    });

    /** What is there when something is wrong: all that was deployed and is the operator's, the CronJobs suspended. */
    const wrong = (): void => {
      const [gateway = ""] = new URL(pushgateway).hostname.split(".", 1);
      const own = { namespace: namespace.name };
      done(
        "kubectl apply --filename -",
        list([
          ...objectsOf(synthesise(reference)),
          ...probes.flatMap(({ credentials }) =>
            credentials === undefined || credentials.from === "file"
              ? []
              : [{ apiVersion: "v1", kind: "Secret", metadata: { ...own, name: credentials.secret } }],
          ),
          { apiVersion: "v1", kind: "Endpoints", metadata: { ...own, name: gateway } },
        ]),
      );
      for (const { name } of probes)
        done(`kubectl --namespace ${namespace.name} patch cronjob ${name} --patch '{"spec":{"suspend":true}}'`);
    };

    test.each(pages.map((page) => [page.path, page] as const))(
      "%s",
      (_, page) => {
        wrong();
        const mistakes = inCluster(page)
          .filter(({ notRun }) => notRun === undefined)
          .flatMap(({ run, expected }) => {
            const { status, stdout, stderr } = shell(run.text);
            const right = status === 0 && (expected === undefined || expectedPattern(expected).test(stdout.trim()));
            return right ? [] : [`${run.text}\n  status ${status}: ${stdout}${stderr}`];
          });
        expect(mistakes).toEqual([]);
      },
      120_000,
    );

    test("there are some", () => {
      expect(pages.length).toBeGreaterThan(5);
    });
  },
);
