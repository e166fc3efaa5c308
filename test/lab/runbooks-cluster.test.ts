import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Command, commandsOf, type Document } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { pushgatewayUrl } from "../../site/schema";
import { type AnyKubernetesObject, allObjectsOf } from "../monitoring/objects";
import { site, synthesise } from "../monitoring/synthesise";
import { pageOf } from "../pages";
import type { WholeSite } from "../sites";
import { describeWith } from "./components";
import { Drill, section, type Typed, type Typist, those, typed } from "./drill";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { preparePod } from "./pod";
import { waitFor } from "./process";
import { type LabServer, startPushgateway } from "./prometheus";

const reference = site("reference");

/** The commands that query the cluster, on pages that use one. */
const inCluster = (commands: readonly Command[]) =>
  commands.filter(({ run, notRun }) => /\bkubectl /.test(run.text) && notRun === undefined);
const pages = documentsOf(reference).filter((page) => inCluster(commandsOf(page)).length > 0);

const probeOf = ({ monitoring }: WholeSite): string => monitoring.probes[0]?.name ?? "";

describeWith(
  [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
    "prometheusrule-crd",
    "openssl",
    "registry",
    "pushgateway",
  ],
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
    const type = (command: Command): Typed => {
      const { status, stdout, stderr } = shell(command.run.text);
      return typed(command, { status: status ?? 1, output: status === 0 ? stdout : stderr });
    };
    const typist: Typist = { type: async (command) => type(command) };

    beforeAll(async () => {
      cluster = await startKubernetes();
      mkdirSync(join(home, ".kube"));
      cpSync(cluster.kubeconfig, join(home, ".kube/config"));
      done(`kubectl create --filename ${definition.command[0]}`);
      done(`kubectl wait --for condition=established --timeout 30s --filename ${definition.command[0]}`);
    }, 120_000);
    afterAll(async () => {
      await cluster?.stop();
      rmSync(home, { recursive: true });
    });

    /** Creates everything that was deployed, and the operator's own objects: the namespace, Secrets, a ready Pushgateway. */
    const deploy = (given: WholeSite, objects: readonly AnyKubernetesObject[]): void => {
      const { namespace, probes } = given.monitoring;
      const [gateway = ""] = new URL(pushgatewayUrl(given)).hostname.split(".", 1);
      const own = { namespace: namespace.name };
      const items = [
        { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace.name } },
        ...objects,
        ...probes.flatMap(({ credentials }) =>
          credentials?.from === "existing-secret"
            ? [{ apiVersion: "v1", kind: "Secret", metadata: { ...own, name: credentials.secret } }]
            : [],
        ),
        {
          apiVersion: "discovery.k8s.io/v1",
          kind: "EndpointSlice",
          metadata: { ...own, name: gateway, labels: { "kubernetes.io/service-name": gateway } },
          addressType: "IPv4",
          endpoints: [{ addresses: ["192.0.2.1"], conditions: { ready: true } }],
          ports: [{ port: 9091 }],
        },
      ];
      done(
        "kubectl apply --server-side --force-conflicts --filename -",
        JSON.stringify({ apiVersion: "v1", kind: "List", items }),
      );
    };

    test.each(pages.map((page) => [page.path, page] as const))(
      "%s",
      (_, page) => {
        deploy(reference, allObjectsOf(synthesise(reference)));
        const errors = inCluster(commandsOf(page))
          .map(type)
          .filter(({ asExpected }) => !asExpected)
          .map(({ command, status, output }) => `${command.run.text}\n  status ${status}: ${output}`);
        expect(errors).toEqual([]);
      },
      120_000,
    );

    test("there are some", () => {
      expect(pages.length).toBeGreaterThan(5);
    });

    describe("drill: a CronJob that somebody suspended, seen when the Pushgateway restarted", () => {
      let gateway: LabServer;
      let watched: MonitoredRegistry;
      let page: Document;
      beforeAll(async () => {
        // It has just started, so it has no data.
        gateway = await startPushgateway();
        watched = await startMonitoredRegistry({ pushgateway: gateway.url });
        deploy(watched.site, watched.objects);
        const { namespace } = watched.site.monitoring;
        done(
          `kubectl --namespace ${namespace.name} patch cronjob ${probeOf(watched.site)} --patch '{"spec":{"suspend":true}}'`,
        );
        page = pageOf(watched.site, "alerts/RegistryIntegrityProbeAbsent.md");
      }, 120_000);
      afterAll(async () => {
        await watched?.stop();
        await gateway?.stop();
      });

      const reported = async (): Promise<boolean> =>
        /^registry_manifest_integrity_last_run_timestamp\{/m.test(await (await fetch(`${gateway.url}/metrics`)).text());

      test("is found, resumed, and reports again", async () => {
        expect(await reported()).toBe(false);
        const drill = new Drill("a suspended CronJob after a restart of the Pushgateway", typist);
        const mitigation = inCluster(section(page, "Mitigation"));
        const wrong = await drill.finds(inCluster(section(page, "Diagnosis")));
        expect(wrong.map(({ output }) => output)).toEqual([expect.stringMatching(/ True /)]);
        await drill.does(those(mitigation, / patch cronjob /));
        await drill.does(those(mitigation, / create job /));
        // What a node would do with it.
        const { namespace } = watched.site.monitoring;
        const pods = `/api/v1/namespaces/${namespace.name}/pods?labelSelector=job-name=${probeOf(watched.site)}-now`;
        await waitFor("the pod", async () => (await cluster.request("GET", pods)).body.items.length === 1);
        const [created] = (await cluster.request("GET", pods)).body.items;
        const pod = preparePod(created, watched.objects);
        expect(await pod.run()).toMatchObject({ code: 0 });
        pod.remove();
        expect(await reported()).toBe(true);
        await drill.does(those(mitigation, / delete job | get cronjob /));
        drill.ends();
      }, 120_000);

      test("is no other cause: a Pushgateway without an address is told by the page too", async () => {
        const { namespace } = watched.site.monitoring;
        done(`kubectl --namespace ${namespace.name} patch endpointslice 127 --type merge --patch '{"endpoints":[]}'`);
        const wrong = inCluster(section(page, "Diagnosis"))
          .map(type)
          .filter(({ asExpected }) => !asExpected);
        expect(wrong.map(({ command }) => command.run.text)).toEqual([expect.stringMatching(/ get endpointslices /)]);
      });
    });
  },
);
