import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { rulesFor } from "../../monitoring/rules";
import { type Json, SITES, site } from "../monitoring/synthesise";
import { SHIPPED } from "../sites";
import { runWarden } from "./run-warden";

const directory = mkdtempSync(join(tmpdir(), "manifests-"));
afterAll(() => rmSync(directory, { recursive: true }));

const file = (name: keyof typeof SITES, bend: (input: Json) => void = () => {}): string => {
  const input: Json = structuredClone(SITES[name]);
  bend(input);
  const path = join(directory, `${name}-${readdirSync(directory).length}.json`);
  writeFileSync(path, JSON.stringify(input));
  return path;
};

/** Removes everything that needs a cluster. */
const withoutCluster = ({ monitoring, registry }: Json): void => {
  registry.images.node = { repository: "node", tag: "26.9.0-slim" };
  for (const part of ["kubernetes", "namespace", "dashboard", "probeImage"]) delete monitoring[part];
  monitoring.rules = { delivery: "by-hand" };
  monitoring.probes = [
    {
      name: "registry-probe",
      service: monitoring.probes[0].service,
      periodMinutes: 30,
      deadlineSeconds: 600,
      credentials: { from: "file", file: "/etc/registry/probe.env" },
    },
  ];
};

const objects = async (path: string): Promise<Json[]> => {
  const { code, out, err } = await runWarden("manifests", "--site", path);
  expect([code, err]).toEqual([0, ""]);
  return parseAllDocuments(out).map((document) => document.toJS());
};

describe("warden manifests", () => {
  test("names what a clean-up over HTTP needs beside them", async () => {
    const path = join(directory, "forge.json");
    writeFileSync(path, JSON.stringify(SHIPPED.forgejo));
    const { out } = await runWarden("manifests", "--site", path);
    expect(out.split("\n").filter((line) => line.startsWith("# forge-clean-up "))).toEqual([
      "# forge-clean-up needs the Secret monitoring/forge-clean-up with the keys REG_USER and REG_PASS, of an account that may push and delete.",
      "# forge-clean-up needs the PersistentVolumeClaim monitoring/forge-clean-up-journal, of the journal by which it can be undone.",
    ]);
    const objects = parseAllDocuments(out).map((document) => document.toJS());
    const job: Json = objects.find(({ metadata }) => metadata.name === "forge-clean-up");
    expect(job.spec).toMatchObject({ suspend: true, schedule: "0 3 * * 0" });
  });

  test("prints what the stack delivers, in an order in which it can be created", async () => {
    const names = (list: Json[]) => list.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names(await objects(file("reference")))).toEqual([
      expect.stringMatching(/^ConfigMap registry-probe-program-[0-9a-f]{12}$/),
      "ConfigMap registry-integrity-dashboard",
      "ServiceAccount registry-integrity-probe",
      "ClusterRole monitoring-registry-integrity-probe",
      "ClusterRoleBinding monitoring-registry-integrity-probe",
      "CronJob registry-integrity-probe",
      "PrometheusRule registry-alerts",
    ]);
    expect(names(await objects(file("small")))).toEqual([
      "Namespace monitoring",
      expect.stringMatching(/^ConfigMap registry-(alerts|probe-program-)/),
      expect.stringMatching(/^ConfigMap registry-(alerts|probe-program-)/),
      "CronJob registry-probe",
    ]);
  });

  test("contains the program unchanged, under the name that the CronJob mounts", async () => {
    const found = await objects(file("small"));
    const [program] = found.filter(({ metadata }) => metadata.name.startsWith("registry-probe-program-"));
    const text: string = program.data["probe.mjs"];
    expect([program.immutable, text.length > 100_000, text.includes("$${")]).toEqual([true, true, false]);
    const { volumes } = found.find(({ kind }) => kind === "CronJob").spec.jobTemplate.spec.template.spec;
    expect(volumes[0]).toEqual({ name: "program", configMap: { name: program.metadata.name } });
  });

  test("lists what it leaves out: Secrets, and the operator's ConfigMaps", async () => {
    const { out } = await runWarden("manifests", "--site", file("small"));
    expect(out.split("\n").slice(0, 3)).toEqual([
      "# registry-probe needs the Secret monitoring/registry-probe with the keys REG_USER and REG_PASS.",
      "# registry-probe needs the ConfigMap monitoring/home-ca with the key ca.crt.",
      "---",
    ]);
    expect(out).not.toContain("kind: Secret");
  });

  test("has what a probe needs to see what runs, as the API takes it, and says whose account reports it", async () => {
    const { out } = await runWarden("manifests", "--site", file("reference"));
    expect(out.split("\n").slice(0, 3)).toEqual([
      "# registry-integrity-probe needs the Secret monitoring/registry-probe-credentials with the keys REG_USER and REG_PASS.",
      "# registry-integrity-probe takes the Secret monitoring/registry-probe-credentials-push with the keys REG_USER and REG_PASS, of an account that may push: it reports what runs.",
      "---",
    ]);
    const found = await objects(file("reference"));
    expect(found.find(({ kind }) => kind === "ClusterRole")).toMatchObject({
      apiVersion: "rbac.authorization.k8s.io/v1",
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
        { apiGroups: ["batch"], resources: ["cronjobs"], verbs: ["list"] },
      ],
    });
    expect(found.find(({ kind }) => kind === "ClusterRoleBinding")).toMatchObject({
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole" },
      subjects: [{ kind: "ServiceAccount", name: "registry-integrity-probe", namespace: "monitoring" }],
    });
  });

  test.each([["manifests"], ["drift", "--cluster"]])(
    "%s %s of a site without a cluster is refused in words",
    async (...command) => {
      const { code, out, err } = await runWarden(...command.filter(Boolean), "--site", file("small", withoutCluster));
      expect([code, out]).toEqual([2, ""]);
      expect(err).toMatch(/^error: monitoring\.kubernetes: [^\n]*needs a cluster[^\n]*\n$/);
    },
  );
});

describe("warden rules", () => {
  test("prints the rules that the stack delivers, also without a cluster", async () => {
    const { code, out } = await runWarden("rules", "--site", file("reference"));
    expect([code, parse(out)]).toEqual([0, { groups: JSON.parse(JSON.stringify(rulesFor(site("reference")))) }]);
    const without = await runWarden("rules", "--site", file("small", withoutCluster));
    expect([without.code, parse(without.out).groups.length > 0]).toEqual([0, true]);
  });

  test("refuses a site that monitors nothing, and says why", async () => {
    const { code, err } = await runWarden(
      "rules",
      "--site",
      file("small", (input) => {
        withoutCluster(input);
        delete input.monitoring;
      }),
    );
    expect([code, err]).toEqual([2, expect.stringMatching(/^error: monitoring: given nothing; [^\n]*\n$/)]);
  });
});

describe("warden drift --cluster", () => {
  const { PATH } = process.env;
  afterEach(() => {
    process.env.PATH = PATH;
  });

  test("says that there is no kubectl, or no kubeconfig", async () => {
    const asked = (configPath: string) =>
      runWarden(
        "drift",
        "--cluster",
        "--site",
        file("small", ({ monitoring }) => (monitoring.kubernetes = { configPath })),
      );
    expect((await asked("/nonexistent")).err).toMatch(/^error: the kubeconfig \/nonexistent does not exist; /);
    process.env.PATH = directory;
    const kubeconfig = join(directory, "kubeconfig");
    writeFileSync(kubeconfig, "{}");
    expect(await asked(kubeconfig)).toEqual({
      code: 2,
      out: "",
      err: "error: there is no kubectl on the PATH; install it\n",
    });
  });

  test("is about the cluster or about a host, not both", async () => {
    expect((await runWarden("drift", "pve", "--cluster")).code).toBe(64);
  });
});
