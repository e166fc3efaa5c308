import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSite, selectSite } from "../../site/load";
import { type Bent, errorsOf } from "./errors";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "errors-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Errors in a site of any shape: the shipped site, what is changed in it, and the beginning of the one line. */
const TABLE: [what: string, site: string, bend: (site: Bent) => void, line: RegExp][] = [
  [
    "nothing at all",
    "hosts-only",
    (s) => {
      delete s.hosts;
      delete s.dns;
    },
    /^site: there is nothing to deploy; /,
  ],
  [
    "an empty list of hosts",
    "forgejo",
    (s) => {
      s.hosts = [];
    },
    /^hosts: given \[\]; allowed is at least one host/,
  ],
  [
    "a registry without a host",
    "no-kubernetes",
    (s) => {
      delete s.hosts;
    },
    /^site: registry\.host names the unknown host "box"; known hosts: none, so add it to hosts$/,
  ],
  [
    "resolvers without dns",
    "hosts-only",
    (s) => {
      delete s.dns;
    },
    /^dns: given nothing; allowed is dns with /,
  ],
  [
    "dns without a resolver",
    "no-kubernetes",
    (s) => {
      s.dns = { internal: { name: "a.example", address: "192.0.2.1" }, external: "example.org" };
    },
    /^dns: .*no host has a resolver; /,
  ],
  [
    "a host without any work",
    "no-kubernetes",
    (s) => {
      s.hosts.push({ name: "b", title: "b", address: "192.0.2.2" });
    },
    /^hosts\[1\]: allowed is a host with a resolver/,
  ],
  [
    "a namespace without a cluster",
    "no-kubernetes",
    (s) => {
      s.monitoring.namespace = { name: "m" };
    },
    /^monitoring\.namespace: a namespace is in a cluster/,
  ],
  [
    "a cluster without a namespace",
    "forgejo",
    (s) => {
      delete s.monitoring.namespace;
    },
    /^monitoring\.namespace: given nothing; allowed is the namespace/,
  ],
  [
    "a dashboard without a cluster",
    "no-kubernetes",
    (s) => {
      s.monitoring.dashboard = { labels: {} };
    },
    /^monitoring\.dashboard: the ConfigMap of a dashboard is in a cluster/,
  ],
  [
    "a PrometheusRule without a cluster",
    "no-kubernetes",
    (s) => {
      s.monitoring.rules = { delivery: "prometheus-rule" };
    },
    /^monitoring\.rules: the delivery "prometheus-rule" needs a cluster/,
  ],
  [
    "a probe in a cluster that is none",
    "no-kubernetes",
    (s) => {
      s.monitoring.pushgateway = "http://192.0.2.41:9091";
      s.monitoring.probes[0].runsOn = "cluster";
    },
    /^monitoring\.probes\[0\]: runsOn is "cluster", and the site has none/,
  ],
  [
    "a probe on a host that is none",
    "forgejo",
    (s) => {
      s.monitoring.probes[0].runsOn = "registry-host";
      s.monitoring.probes[0].credentials = { from: "file", file: "/etc/probe.env" };
      s.monitoring.probes[0].workloads = false;
      delete s.monitoring.externalRegistries[0].cleanUp;
    },
    /^monitoring\.probes\[0\]: the probe is on the host of the registries, and the site has none/,
  ],
  [
    "a probe that runs nowhere known",
    "no-kubernetes",
    (s) => {
      s.monitoring.probes[0].runsOn = "host";
    },
    /^monitoring\.probes\[0\]\.runsOn: given "host"; allowed is "cluster" or "registry-host"/,
  ],
  [
    "a Secret on a host",
    "no-kubernetes",
    (s) => {
      s.monitoring.probes[0].credentials = { from: "existing-secret", secret: "x" };
    },
    /^monitoring\.probes\[0\]: credentials from "existing-secret" are not on the registry host/,
  ],
  [
    "an env file in the cluster",
    "forgejo",
    (s) => {
      s.monitoring.probes[0].credentials = { from: "file", file: "/etc/x.env" };
    },
    /^monitoring\.probes\[0\]: credentials from "file" are not on the cluster/,
  ],
  [
    "a ConfigMap on a host",
    "no-kubernetes",
    (s) => {
      s.monitoring.probes[0].certificateAuthority = { configMap: "ca", key: "ca.crt" };
    },
    /^monitoring\.probes\[0\]: the probe runs on the registry host; /,
  ],
  [
    "a CA file in the cluster",
    "company",
    (s) => {
      s.monitoring.probes[0].certificateAuthority = { file: "/etc/ca.pem" };
    },
    /^monitoring\.probes\[0\]: the probe runs on the cluster; /,
  ],
  [
    "shards on a host",
    "no-kubernetes",
    (s) => {
      s.monitoring.probes[0].shards = 2;
    },
    /^monitoring\.probes\[0\]: shards 2 are pods; /,
  ],
  [
    "adoption on a host",
    "no-kubernetes",
    (s) => {
      s.monitoring.probes[0].adopt = ["cron-job"];
    },
    /^monitoring\.probes\[0\]: adopt names objects of a cluster/,
  ],
  [
    "a probe in the cluster without an image",
    "forgejo",
    (s) => {
      delete s.monitoring.probeImage;
    },
    /^monitoring\.probes\[0\]: it runs in the cluster without an image/,
  ],
  [
    "a host without an image of Node",
    "no-kubernetes",
    (s) => {
      delete s.registry.images.node;
      delete s.registry.maintenance;
      s.registry.services[1].retention = undefined;
    },
    /^registry\.images\.node: given nothing; allowed is a pinned Node image/,
  ],
  [
    "a Pushgateway on no host",
    "forgejo",
    (s) => {
      s.monitoring.pushgateway = {
        image: { repository: "prom/pushgateway", tag: "v1.11.1" },
        port: 9091,
        listen: "192.0.2.1",
      };
    },
    /^monitoring\.pushgateway: a Pushgateway of the site's own is on the host of the registries/,
  ],
  [
    "a Pushgateway that the cluster cannot reach",
    "company",
    (s) => {
      s.monitoring.pushgateway = { image: { repository: "prom/pushgateway", tag: "v1.11.1" }, port: 9091 };
    },
    /^monitoring\.pushgateway: it listens at 127\.0\.0\.1/,
  ],
  [
    "a Pushgateway on a port that is taken",
    "no-kubernetes",
    (s) => {
      s.monitoring.pushgateway.port = 5050;
    },
    /^site: monitoring\.pushgateway\.port 5050 is published by another service/,
  ],
  [
    "a Pushgateway that floats",
    "no-kubernetes",
    (s) => {
      s.monitoring.pushgateway.image.tag = "latest";
    },
    /^monitoring\.pushgateway\.image\.tag: given "latest"/,
  ],
  [
    "a Pushgateway with a path",
    "forgejo",
    (s) => {
      s.monitoring.pushgateway = "http://pushgateway:9091/metrics";
    },
    /^monitoring\.pushgateway: given "http:\/\/pushgateway:9091\/metrics"; allowed is the URL of a Pushgateway without a path/,
  ],
  [
    "a maintenance that reports nowhere",
    "company",
    (s) => {
      delete s.registry.maintenance.pushgateway;
    },
    /^registry\.maintenance\.pushgateway: given nothing; allowed is the URL of a Pushgateway as the host reaches it/,
  ],
  [
    "a shared state without a name",
    "company",
    (s) => {
      delete s.name;
    },
    /^name: given nothing; the backend "s3" is shared; /,
  ],
  [
    "a name with a slash",
    "company",
    (s) => {
      s.name = "a/b";
    },
    /^name: given "a\/b"; allowed is a DNS label/,
  ],
  [
    "a key prefix that leads out",
    "company",
    (s) => {
      s.state.keyPrefix = "../x";
    },
    /^state\.keyPrefix: given "\.\.\/x"/,
  ],
  [
    "CI without a registry",
    "hosts-only",
    (s) => {
      s.ci = {
        system: "github",
        secrets: { username: "U", password: "P" },
        images: [
          { service: "x", repository: "x", tags: [], commitCharacters: 8, dockerfile: "Dockerfile", branch: "main" },
        ],
      };
    },
    /^site: ci\.images names the service "x", to which nothing can be pushed/,
  ],
  [
    "a CI that nobody knows",
    "company",
    (s) => {
      s.ci.system = "jenkins";
    },
    /^ci\.system: given "jenkins"; allowed is "github" or "forgejo" or "woodpecker"/,
  ],
  [
    "a plugin of another CI",
    "company",
    (s) => {
      s.ci.buildPlugin = { repository: "x", tag: "1.2.3" };
    },
    /^ci\.buildPlugin: a plugin is Woodpecker's/,
  ],
  [
    "a runner of another CI",
    "reference",
    (s) => {
      s.ci.runner = "x";
    },
    /^ci\.runner: given "x"; the label of a runner/,
  ],
  [
    "a probe of nothing",
    "forgejo",
    (s) => {
      s.monitoring.externalRegistries = [];
    },
    /^site: probe forge-probe names the unknown service "forge"/,
  ],
  [
    "a URL with a line end",
    "forgejo",
    (s) => {
      s.monitoring.externalRegistries[0].url = "https://git.exa\nmple.org";
    },
    /^monitoring\.externalRegistries\[0\]\.url: given "https:\/\/git\.exa\\nmple\.org"/,
  ],
  [
    "a URL with a tab",
    "company",
    (s) => {
      s.registry.services[0].upstream = "https://registry-1\t.docker.io";
    },
    /^registry\.services\[0\]\.upstream: given /,
  ],
  [
    "a port as a text",
    "company",
    (s) => {
      s.registry.services[0].port = "5000";
    },
    /^registry\.services\[0\]\.port: given "5000"; allowed is a port number/,
  ],
  [
    "a port that is none",
    "company",
    (s) => {
      s.registry.services[0].port = 70000;
    },
    /^registry\.services\[0\]\.port: given 70000/,
  ],
  [
    "an address with a mask",
    "hosts-only",
    (s) => {
      s.hosts[0].address = "192.0.2.10/24";
    },
    /^hosts\[0\]\.address: given "192\.0\.2\.10\/24"/,
  ],
  [
    "a mistyped part",
    "hosts-only",
    (s) => {
      s.host = s.hosts;
    },
    /^site: unknown field "host"; allowed are /,
  ],
  [
    "a list that is an object",
    "hosts-only",
    (s) => {
      s.hosts = { a: 1 };
    },
    /^hosts: given \{"a":1\}; allowed is a list of hosts/,
  ],
  [
    "a service called as the Pushgateway's container",
    "no-kubernetes",
    (s) => {
      s.registry.services[0].name = "pushgateway";
    },
    /^registry\.services\[0\]\.name: given "pushgateway"/,
  ],
];

test("the table is as long as what was tried by hand", () => expect(TABLE.length).toBeGreaterThanOrEqual(42));

test.each(TABLE)("%s is told in one line", (_what, site, bend, line) => {
  const errors = errorsOf(site, bend);
  expect(errors).toEqual([expect.stringMatching(line)]);
  expect(errors[0]).toMatch(/^[^\n]+; [^\n]*(allowed|known|use) |allowed (is|are)/);
});

describe("a file that holds no site", () => {
  const define = 'export default { name: "x", ';
  const FILES: [name: string, text: string, line: RegExp][] = [
    [
      "comma.ts",
      'export default {\n  name: "x"\n  state: {},\n};\n',
      /^site: .*comma\.ts:3:3 cannot be loaded \(Expected "}" but found "state"\)/,
    ],
    ["brace.ts", `${define}\n`, /^site: .*brace\.ts:\d+:\d+ cannot be loaded \(/],
    [
      "named.ts",
      'export const site = { name: "x" };\n',
      /^site: given nothing, .*named\.ts has no default export, only site; allowed is /,
    ],
    [
      "promise.ts",
      "export default (async () => ({}))();\n",
      /^site: given object, .*promise\.ts exports a promise by default; /,
    ],
    [
      "function.ts",
      "export default () => ({});\n",
      /^site: given function, .*function\.ts exports a function by default; /,
    ],
    [
      "waits.ts",
      "export default await Promise.resolve({});\n",
      /^site: .*waits\.ts:1:16 cannot be loaded \(Top-level await/,
    ],
    [
      "import.ts",
      'import x from "./none";\nexport default x;\n',
      /^site: .*import\.ts.* cannot be loaded \(Cannot find module/,
    ],
    [
      "throws.ts",
      "const a: any = undefined;\nexport default a.b;\n",
      /^site: .*throws\.ts:2.* cannot be loaded \(Cannot read properties of undefined/,
    ],
    ["text.json", '{ "name": "x",\n  "state" }\n', /^site: .*text\.json:\d+:\d+ cannot be loaded \(/],
  ];

  test("says where and why, one line each", () => {
    for (const [name, text] of FILES) writeFileSync(join(folder, name), text);
    const script = join(folder, "try.ts");
    writeFileSync(
      script,
      `import { loadSite } from ${JSON.stringify(join(root, "site/load"))};
for (const file of process.argv.slice(2)) {
  try { loadSite(file); console.log("[]"); } catch (error) { console.log(JSON.stringify((error as { errors: string[] }).errors)); }
}\n`,
    );
    const files = FILES.map(([name]) => join(folder, name));
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", script, ...files], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const found = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(found).toEqual(FILES.map(([, , line]) => [expect.stringMatching(line)]));
  });

  test("a file that is not there, beside one that is nearly called so", () => {
    writeFileSync(join(folder, "home.ts"), "");
    expect(() => loadSite(join(folder, "hoem.ts"))).toThrow(
      /^site: given ".*hoem\.ts", which does not exist; allowed is a file that exports a site: there is .*home\.ts$/,
    );
  });
});

describe("a site that was meant and would not be read", () => {
  const checkoutWith = (name: string): string => {
    const checkout = mkdtempSync(join(folder, "checkout-"));
    writeFileSync(join(checkout, name), "");
    return checkout;
  };

  test.each(["Site.ts", "site.mts", "sites.ts", "site.js", "site.json"])("%s at the top of the checkout", (name) => {
    expect(() => selectSite(undefined, { environment: {}, checkout: checkoutWith(name) })).toThrow(
      `site: found ${name} at the top of the checkout, which is not read; allowed is site.ts there: rename it, or name it with --site`,
    );
  });

  test("site.ts is read", () => {
    const checkout = checkoutWith("site.ts");
    expect(selectSite(undefined, { environment: {}, checkout })).toEqual({
      file: join(checkout, "site.ts"),
      by: "own-file",
    });
  });

  test.each(["WARDEN_SITES", "WARDENSITE", "WARDEN_STIE", "warden_site", "WARDEN_SITE_FILE"])(
    "the variable %s",
    (name) => {
      expect(() => selectSite(undefined, { environment: { [name]: "x" }, checkout: folder })).toThrow(
        `site: given the environment variable ${name}, which nothing reads; allowed is WARDEN_SITE: rename it`,
      );
    },
  );

  test("a variable of somebody else is none of ours", () => {
    const environment = { WARDEN_LAB: "x", WEBSITE: "x", WINDIR: "x", WARDEN: "x" };
    expect(selectSite(undefined, { environment, checkout: join(folder, "none") }).by).toBe("nobody");
  });
});
