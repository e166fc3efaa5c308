import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { version } from "../../package.json";
import { serveOnLoopback } from "../loopback";
import { describeWith } from "./components";
import { multiPlatformImage, push } from "./images";
import { type LabRegistry, startRegistry } from "./registry";

const root = join(__dirname, "../..");

jest.setTimeout(180_000);

/** The files of every release, in addition to the package. */
const FILES = ["SHA256SUMS", "THIRD_PARTY_NOTICES", "notes.md", "probe.mjs", "sbom.cdx.json", "warden.1", "warden.mjs"];

describeWith(["registry"], "a release, in a dry run", () => {
  const folder = mkdtempSync(join(tmpdir(), "release-"));
  const checkout = join(folder, "checkout");
  const origin = join(folder, "origin.git");
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: checkout, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  const release = (...args: string[]) => {
    const { status, stderr } = spawnSync(".ci/release", args, { cwd: checkout, encoding: "utf8" });
    return { status, stderr };
  };
  const released = (file: string): string => readFileSync(join(checkout, "release", file), "utf8");

  beforeAll(() => {
    // Copy the files of the working tree, committed or not.
    execFileSync("git", ["clone", "--quiet", "--no-local", root, checkout]);
    const tracked = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const files = execFileSync("git", tracked, { cwd: root, encoding: "utf8" })
      .split("\0")
      .filter((file) => file !== "" && existsSync(join(root, file)));
    execFileSync("cp", ["--parents", "-t", checkout, "--", ...files], { cwd: root });
    git("add", "--all");
    git(
      "-c",
      "user.name=lab",
      "-c",
      "user.email=lab@lab.invalid",
      "commit",
      "--quiet",
      "--allow-empty",
      "-m",
      "as it is",
    );
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
    execFileSync("git", ["init", "--quiet", "--bare", origin]);
    git("remote", "set-url", "origin", origin);
    expect(release(`v${version}`)).toEqual({ status: 0, stderr: "" });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("leaves exactly what a release has, and the checksums fit", () => {
    const files = [...FILES, `registry-warden-${version}.tgz`].sort();
    expect(readdirSync(join(checkout, "release")).sort()).toEqual(files);
    execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: join(checkout, "release") });
    expect(released("SHA256SUMS").trim().split("\n")).toHaveLength(files.length - 1);
  });

  test("its notes are the section of the changelog", () => {
    expect(released("notes.md")).toContain("### Added\n");
    expect(released("notes.md")).not.toMatch(/^## /m);
  });

  test("its bill of materials names what is bundled and what the package needs", () => {
    const { bomFormat, components } = JSON.parse(released("sbom.cdx.json"));
    expect(bomFormat).toBe("CycloneDX");
    const names = components.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(["undici", "commander", "zod", "yaml"]));
  });

  test("another tag, and a version without notes, are refused in one line", () => {
    expect(release("v9.9.9")).toEqual({
      status: 1,
      stderr: `error: the tag v9.9.9 is not v${version}: set the version with npm version --no-git-tag-version 9.9.9\n`,
    });
    const changelog = readFileSync(join(checkout, "CHANGELOG.md"), "utf8");
    writeFileSync(join(checkout, "CHANGELOG.md"), changelog.replace(`## ${version}`, "## Unreleased"));
    expect(release()).toEqual({
      status: 1,
      stderr: `error: CHANGELOG.md has no section ${version}: rename Unreleased\n`,
    });
    writeFileSync(join(checkout, "CHANGELOG.md"), changelog);
  });

  test("uploads what a forge lacks, and goes on where it stopped", async () => {
    const uploaded: string[] = [];
    let made: Record<string, unknown> | undefined;
    const server = await serveOnLoopback((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://forge");
      let text = "";
      request.setEncoding("latin1").on("data", (part) => {
        text += part;
      });
      request.on("end", () => {
        expect(request.headers.authorization).toBe("token sesame");
        if (pathname.endsWith(`/tags/v${version}`)) {
          response.statusCode = made === undefined ? 404 : 200;
          response.end(JSON.stringify({ id: 5, assets: uploaded.map((name) => ({ name })) }));
        } else if (pathname.endsWith("/releases/5/assets")) {
          uploaded.push(searchParams.get("name") ?? "");
          expect(text).toContain('name="attachment"');
          response.end("{}");
        } else {
          made = JSON.parse(text);
          response.end('{ "id": 5 }');
        }
      });
    });
    const publish = () =>
      new Promise<number | null>((resolve) => {
        const env = {
          PATH: process.env.PATH,
          CI_FORGE_URL: server.url,
          CI_REPO: "me/registry-warden",
          CI_COMMIT_TAG: `v${version}`,
          TOKEN: "sesame",
        };
        spawn(process.execPath, [".ci/publish-release.mjs"], { cwd: checkout, env, stdio: "ignore" }).on(
          "close",
          resolve,
        );
      });
    expect(await publish()).toBe(0);
    expect(made).toMatchObject({ tag_name: `v${version}`, prerelease: false });
    const assets = [...FILES.filter((file) => file !== "notes.md"), `registry-warden-${version}.tgz`].sort();
    expect(uploaded.toSorted()).toEqual(assets);
    uploaded.splice(2);
    expect(await publish()).toBe(0);
    expect(uploaded.toSorted()).toEqual(assets);
    await server.stop();
  });

  describe("the image", () => {
    const instructions = (): [string, string][] =>
      readFileSync(join(root, "Dockerfile"), "utf8")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]);
    const value = (name: string): string => instructions().find(([instruction]) => instruction === name)?.[1] ?? "";

    test("is a pinned Node, one program and its notices, and runs as nobody in particular", () => {
      expect(value("FROM")).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim$/);
      expect(value("USER")).toMatch(/^[1-9]\d+:[1-9]\d+$/);
      expect(instructions().map(([instruction]) => instruction)).toEqual([
        "FROM",
        "COPY",
        "COPY",
        "USER",
        "WORKDIR",
        "ENTRYPOINT",
      ]);
    });

    test("its context has what it copies and nothing else", () => {
      const copied = instructions()
        .filter(([instruction]) => instruction === "COPY")
        .flatMap(([, words]) => words.split(" ").slice(0, -1));
      const admitted = readFileSync(join(root, ".dockerignore"), "utf8").trim().split("\n");
      expect(admitted).toEqual(["*", ...copied.map((file) => `!${file}`)]);
      for (const file of copied) expect([file, existsSync(join(checkout, file))]).toEqual([file, true]);
    });

    test("its entry point runs the copied program", () => {
      const [program, path] = JSON.parse(value("ENTRYPOINT"));
      expect(program).toBe("node");
      expect(value("COPY")).toBe(`dist/warden.mjs ${path}`);
      const said = execFileSync(process.execPath, [join(checkout, "dist/warden.mjs"), "--version"], {
        cwd: "/",
        encoding: "utf8",
      });
      expect(said).toMatch(new RegExp(`^${version} `));
    });
  });

  describe("the action, by the tag of its major version", () => {
    const used = join(folder, "used");
    let registry: LabRegistry;
    beforeAll(async () => {
      execFileSync(".ci/tag-action", [`v${version}`], { cwd: checkout, stdio: "ignore" });
      execFileSync("git", ["clone", "--quiet", "--branch", `v${version.split(".")[0]}`, origin, used], {
        stdio: "ignore",
      });
      registry = await startRegistry();
      await push({ url: registry.url }, "team/app", multiPlatformImage("action"), "v1");
    });
    afterAll(() => registry?.stop());

    /** Runs the action's steps as a runner does. */
    const use = (inputs: Record<string, string>) => {
      const { inputs: declared, runs } = parse(readFileSync(join(used, "action.yml"), "utf8"));
      const temporary = mkdtempSync(join(folder, "runner-"));
      const files = { GITHUB_OUTPUT: join(temporary, "output"), GITHUB_STEP_SUMMARY: join(temporary, "summary") };
      for (const file of Object.values(files)) appendFileSync(file, "");
      const input = (name: string): string => inputs[name] ?? declared[name].default ?? "";
      const env = Object.fromEntries(
        Object.entries(runs.steps[0].env as Record<string, string>).map(([name, value]) => [
          name,
          value.replace(/\$\{\{ (.*?) \}\}/g, (_, of: string) =>
            of === "github.action_path" ? used : input(of.replace("inputs.", "")),
          ),
        ]),
      );
      const { status, stdout } = spawnSync(
        "bash",
        ["--noprofile", "--norc", "-eo", "pipefail", "-c", runs.steps[0].run],
        {
          cwd: temporary,
          encoding: "utf8",
          env: { PATH: process.env.PATH, HOME: temporary, RUNNER_TEMP: temporary, ...files, ...env },
        },
      );
      const output = Object.fromEntries(
        readFileSync(files.GITHUB_OUTPUT, "utf8")
          .trim()
          .split("\n")
          .filter(Boolean)
          .map((line) => line.split("=", 2)),
      );
      return { status, stdout, summary: readFileSync(files.GITHUB_STEP_SUMMARY, "utf8"), output };
    };

    test("needs no installation, and is green for a whole image", () => {
      expect(existsSync(join(used, "node_modules"))).toBe(false);
      const { status, stdout, summary, output } = use({ image: `${registry.host}/team/app:v1` });
      expect([status, stdout]).toEqual([0, ""]);
      expect(summary).toContain("### Every image can be pulled");
      expect(output).toMatchObject({ complete: "true", failures: "0" });
      expect(readFileSync(output.html, "utf8")).toContain("<html");
      expect(readFileSync(output.junit, "utf8")).toContain("<testsuite");
      expect(JSON.parse(readFileSync(output.json, "utf8")).complete).toBe(true);
    });

    test("fails with an annotation for an image whose index lost a child", async () => {
      await registry.shutDown();
      await registry.collectGarbage({ deleteUntagged: true });
      await registry.restart();
      const { status, stdout, summary, output } = use({ registry: registry.url });
      expect(status).toBe(1);
      expect(stdout).toMatch(/^::error title=team\/app%3Av1::manifest sha256:\w+ missing/);
      expect(summary).toContain("broken");
      expect(Number(output.failures)).toBeGreaterThan(0);
    });

    test("says what is wrong with its inputs, and with a registry that does not answer", () => {
      expect(use({})).toMatchObject({ status: 64, stdout: expect.stringContaining("give either image or registry") });
      expect(use({ registry: "http://127.0.0.1:1" })).toMatchObject({
        status: 2,
        stdout: expect.stringMatching(/^::error title=not verified::/),
      });
    });
  });
});
