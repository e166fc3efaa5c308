import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { createApp } from "../../stacks/app";
import { SITES, site } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { formsOf, leakingFiles, leaksIn, PLANTED } from "./planted-secret";
import { temporaryFolder } from "./process";
import { type LabServer, startPushgateway } from "./prometheus";

jest.setTimeout(60_000);

/** A zip archive of one deflated member. */
const zip = (content: string): Buffer => {
  const bytes = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.write("PK\x03\x04", "latin1");
  const central = Buffer.alloc(46);
  central.write("PK\x01\x02", "latin1");
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(bytes.length, 20);
  return Buffer.concat([local, bytes, central]);
};

describe("the search for a planted password", () => {
  const folder = temporaryFolder("secrets");
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(formsOf(PLANTED))("finds it as %s, in text and in an archive", (form) => {
    writeFileSync(join(folder, "plain"), `before ${form} after`);
    writeFileSync(join(folder, "plan"), zip(`before ${form} after`));
    writeFileSync(join(folder, "clean"), "before after");
    expect(leakingFiles(folder).sort()).toEqual(["plain", "plan"]);
  });
});

describe("what is synthesised while the password is in the environment", () => {
  const variables = {
    REG_USER: PLANTED.username,
    REG_PASS: PLANTED.password,
    TF_VAR_registry_probe_username: PLANTED.username,
    TF_VAR_registry_probe_password: PLANTED.password,
  };
  const before = { ...process.env };
  beforeAll(() => Object.assign(process.env, variables));
  afterAll(() => {
    process.env = before;
  });

  test.each(Object.keys(SITES) as (keyof typeof SITES)[])("holds no form of it: the %s site", (name) => {
    const folder = temporaryFolder("synthesised");
    try {
      createApp(site(name), folder).synth();
      expect(readFileSync(join(folder, "stacks/monitoring/cdk.tf.json"), "utf8")).toContain("REG_PASS");
      expect(leakingFiles(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describeWith(["registry", "pushgateway", "openssl"], "the probe that holds the password", () => {
  let pushgateway: LabServer;
  let monitored: MonitoredRegistry;
  beforeAll(async () => {
    pushgateway = await startPushgateway();
    monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url });
  });
  afterAll(async () => {
    await monitored?.stop();
    await pushgateway?.stop();
  });

  const spoken = async (): Promise<string> => {
    const { stdout, stderr } = await monitored.pod.run();
    const pushed = await (await fetch(`${pushgateway.url}/metrics`)).text();
    return [stdout, stderr, pushed, ...monitored.pod.argv].join("\n");
  };

  test("is let in with it", async () => {
    expect(await monitored.pod.run()).toMatchObject({ code: 0, stderr: "" });
    expect(await spoken()).toContain("registry_manifest_integrity_catalog_accessible");
    expect(await (await fetch(`${pushgateway.url}/metrics`)).text()).toMatch(
      /registry_manifest_integrity_catalog_accessible\{[^}]*\} 1/,
    );
  });

  test("appears nowhere: arguments, output, metrics", async () => {
    expect(leaksIn(await spoken())).toEqual([]);
  });

  test("appears nowhere when the registry refuses it", async () => {
    await monitored.registry.restart({ htpasswd: { username: "somebody", password: "else", cost: 4 } });
    const text = await spoken();
    expect(text).toMatch(/registry_manifest_integrity_catalog_accessible\{[^}]*\} 0/);
    expect(leaksIn(text)).toEqual([]);
  });

  test("appears nowhere when nothing answers", async () => {
    await monitored.registry.shutDown();
    expect(leaksIn(await spoken())).toEqual([]);
    const gone = await startMonitoredRegistry({ pushgateway: "http://127.0.0.1:9" });
    try {
      const { code, stdout, stderr } = await gone.pod.run();
      expect(code).toBe(2);
      expect(leaksIn(stdout + stderr)).toEqual([]);
    } finally {
      await gone.stop();
    }
  });
});
