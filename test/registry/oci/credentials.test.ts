import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { credentialsIn, dockerCredentials } from "../../../registry/oci/credentials";

const HOST = "registry.example.org:5000";
const auth = (pair: string): string => Buffer.from(pair).toString("base64");
const USER = { kind: "password", username: "user", password: "pass:word" };

describe("what the file itself holds", () => {
  test.each([
    ["under the host", { auths: { [HOST]: { auth: auth("user:pass:word") } } }, USER],
    ["under a url", { auths: { [`https://${HOST}`]: { auth: auth("user:pass:word") } } }, USER],
    ["under an old url", { auths: { [`https://${HOST}/v1/`]: { auth: auth("user:pass:word") } } }, USER],
    ["under a url with a path", { auths: { [`http://${HOST}/v2`]: { auth: auth("user:pass:word") } } }, USER],
    ["in clear", { auths: { [HOST]: { username: "user", password: "pass:word" } } }, USER],
    [
      "as an identity token",
      { auths: { [HOST]: { auth: auth("user:"), identitytoken: "t" } } },
      { kind: "identity-token", token: "t" },
    ],
    [
      "beside an empty identity token",
      { auths: { [HOST]: { auth: auth("user:pass:word"), identitytoken: "" } } },
      USER,
    ],
    ["of nobody", { auths: { [HOST]: { auth: auth(":pass") } } }, null],
    ["for another host", { auths: { "other.example.org": { auth: auth("user:pass") } } }, null],
    ["for the host on another port", { auths: { "registry.example.org": { auth: auth("user:pass") } } }, null],
    ["not at all", {}, null],
    ["without a colon", { auths: { [HOST]: { auth: auth("user") } } }, null],
    ["as nonsense", { auths: { [HOST]: 7 } }, null],
    ["in a list", [], null],
  ])("%s", async (_name, config, expected) => {
    expect(await credentialsIn(config, HOST, {})).toEqual(expected);
  });

  test("the port that a url leaves out may stand in the key", async () => {
    const config = { auths: { "registry.example.org:443": { auth: auth("user:pass:word") } } };
    expect(await credentialsIn(config, "registry.example.org", {})).toEqual(USER);
    expect(await credentialsIn(config, HOST, {})).toBeNull();
  });

  test("Docker Hub is kept under its old address", async () => {
    const config = { auths: { "https://index.docker.io/v1/": { auth: auth("user:pass:word") } } };
    expect(await credentialsIn(config, "registry-1.docker.io", {})).toEqual(USER);
  });
});

describe("credential helpers", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "warden-helper-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const helper = (script: string): void => {
    const file = join(folder, "docker-credential-lab");
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  };
  const ask = (config: unknown) => credentialsIn(config, HOST, { PATH: `${folder}:${process.env.PATH}` });
  const config = { credHelpers: { [HOST]: "lab" } };

  test("are asked for the host on their standard input", async () => {
    helper('read -r server; printf \'{"Username":"%s","Secret":"s"}\' "$1 $server"');
    expect(await ask(config)).toEqual({ kind: "password", username: `get ${HOST}`, password: "s" });
  });

  test("are asked for Docker Hub by its old address", async () => {
    helper('read -r server; printf \'{"Username":"%s","Secret":"s"}\' "$server"');
    const environment = { PATH: `${folder}:${process.env.PATH}` };
    expect(await credentialsIn({ credsStore: "lab" }, "registry-1.docker.io", environment)).toMatchObject({
      username: "https://index.docker.io/v1/",
    });
    expect(await credentialsIn({ credsStore: "lab" }, HOST, environment)).toMatchObject({ username: HOST });
  });

  test("may hold an identity token", async () => {
    helper('echo \'{"Username":"<token>","Secret":"s"}\'');
    expect(await ask(config)).toEqual({ kind: "identity-token", token: "s" });
  });

  test("that know nothing leave it to the file", async () => {
    helper('echo "credentials not found in native keychain"; exit 1');
    const both = { credsStore: "lab", auths: { [HOST]: { auth: auth("user:pass:word") } } };
    expect(await ask(both)).toEqual(USER);
    expect(await ask(config)).toBeNull();
  });

  test.each([
    ["fails", "echo secret; exit 3", /failed \(status 3\)/],
    ["answers no json", "echo secret", /no json/],
    ["answers null", "echo null", /without Username and Secret/],
    ["answers without a secret", "echo '{}'", /without Username and Secret/],
  ])("one that %s is an error that repeats nothing of it", async (_name, script, message) => {
    helper(script);
    const error = await ask(config).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "bad-credentials", message: expect.stringMatching(message) });
    expect((error as Error).message).not.toContain("secret");
  });

  test("one that prints more than a megabyte is stopped", async () => {
    helper("exec head -c 2097152 /dev/zero");
    await expect(ask(config)).rejects.toThrow(/failed \(status none, it was stopped\)/);
  });

  test("one that gives no answer is stopped", async () => {
    helper(`echo $$ >${folder}/pid; exec sleep 600`);
    jest.spyOn(AbortSignal, "timeout").mockImplementationOnce(() => {
      const controller = new AbortController();
      const started = setInterval(() => {
        if (!existsSync(join(folder, "pid"))) return;
        clearInterval(started);
        controller.abort();
      }, 10);
      return controller.signal;
    });
    await expect(ask(config)).rejects.toThrow(/gave no answer in 15 s/);
    const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
    while (existsSync(`/proc/${pid}`)) await new Promise((later) => setTimeout(later, 10));
  });

  test("one that is not there does not keep the program from its end", () => {
    writeFileSync(join(folder, "config.json"), JSON.stringify({ credsStore: "missing" }));
    const args = ["--import", "tsx", "cli/warden.ts", "verify", HOST];
    const { status, stderr } = spawnSync(process.execPath, args, {
      cwd: join(__dirname, "../../.."),
      encoding: "utf8",
      env: { ...process.env, DOCKER_CONFIG: folder },
      // Far less than a credential helper is given.
      timeout: 10_000,
    });
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("cannot be started") });
  });

  test("one that is not there, and one whose name is a path", async () => {
    await expect(ask(config)).rejects.toThrow(/cannot be started/);
    await expect(ask({ credHelpers: { [HOST]: "../sh" } })).rejects.toThrow(/no file name/);
  });
});

test("a password that Docker has padded with zero bytes is one without them", async () => {
  const auths = { "registry.example.org": { auth: Buffer.from("u:p\0w\0\0\0").toString("base64") } };
  const found = await credentialsIn({ auths }, "registry.example.org", {});
  expect(found).toEqual({ kind: "password", username: "u", password: "p\0w" });
});

test("an empty file is one without credentials, and an empty name of a helper is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "warden-config-"));
  try {
    for (const text of ["", " \n", "{}"]) {
      writeFileSync(join(folder, "config.json"), text);
      expect(await dockerCredentials({ DOCKER_CONFIG: folder, HOME: folder }, "registry.example.org")).toBeNull();
    }
    const auths = { "registry.example.org": { auth: Buffer.from("u:p").toString("base64") } };
    const config = { credsStore: "", credHelpers: { "registry.example.org": "" }, auths };
    expect(await credentialsIn(config, "registry.example.org", {})).toMatchObject({ username: "u", password: "p" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("Podman's auth.json", () => {
  const host = "registry.example.org";
  let home: string;
  const login = (path: string, username: string, key = host): void => {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    const auth = Buffer.from(`${username}:p`).toString("base64");
    writeFileSync(join(home, path), JSON.stringify({ auths: { [key]: { auth } } }));
  };
  const userOf = async (environment: NodeJS.ProcessEnv): Promise<string | null> => {
    const found = await dockerCredentials({ HOME: home, ...environment }, host);
    return found?.kind === "password" ? found.username : null;
  };
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "warden-home-"));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  test("is read where Podman keeps it, after Docker's own file", async () => {
    expect(await userOf({})).toBeNull();
    login(".config/containers/auth.json", "config");
    expect(await userOf({})).toBe("config");
    login("elsewhere/containers/auth.json", "xdg");
    expect(await userOf({ XDG_CONFIG_HOME: join(home, "elsewhere") })).toBe("xdg");
    login("run/containers/auth.json", "run");
    expect(await userOf({ XDG_RUNTIME_DIR: join(home, "run") })).toBe("run");
    login(".docker/config.json", "docker");
    expect(await userOf({ XDG_RUNTIME_DIR: join(home, "run") })).toBe("docker");
    login("named.json", "named");
    expect(await userOf({ REGISTRY_AUTH_FILE: join(home, "named.json") })).toBe("named");
  });

  test("is asked where Docker's file knows nothing of the host, and may name a part of the registry", async () => {
    login(".docker/config.json", "docker", "other.example.org");
    login(".config/containers/auth.json", "team", `${host}/team`);
    expect(await userOf({})).toBe("team");
  });

  test("that is broken is told, and not passed over", async () => {
    writeFileSync(join(home, "broken.json"), "{");
    await expect(userOf({ REGISTRY_AUTH_FILE: join(home, "broken.json") })).rejects.toMatchObject({
      code: "bad-credentials",
      message: expect.stringContaining("broken.json is not json"),
    });
  });
});

test("the configuration file: absent, broken, elsewhere", async () => {
  const folder = mkdtempSync(join(tmpdir(), "warden-docker-"));
  try {
    expect(await dockerCredentials({ HOME: folder }, HOST)).toBeNull();
    writeFileSync(join(folder, "config.json"), "{");
    await expect(dockerCredentials({ DOCKER_CONFIG: folder }, HOST)).rejects.toMatchObject({ code: "bad-credentials" });
    writeFileSync(join(folder, "config.json"), JSON.stringify({ auths: { [HOST]: { auth: auth("user:pass:word") } } }));
    expect(await dockerCredentials({ DOCKER_CONFIG: folder }, HOST)).toEqual(USER);
    rmSync(join(folder, "config.json"));
    mkdirSync(join(folder, "config.json"));
    await expect(dockerCredentials({ DOCKER_CONFIG: folder }, HOST)).rejects.toThrow(/config\.json cannot be read/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
