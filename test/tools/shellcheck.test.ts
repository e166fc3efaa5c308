import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const SCRIPT = join(__dirname, "../../tools/shellcheck");

describe("tools/shellcheck", () => {
  let repository: string;

  const write = (path: string, content: string, mode = 0o644) => {
    mkdirSync(join(repository, path, ".."), { recursive: true });
    writeFileSync(join(repository, path), content, { mode });
  };
  const run = (environment: Record<string, string>) => {
    const result = spawnSync(join(repository, "tools/shellcheck"), {
      encoding: "utf8",
      env: { HOME: repository, ...environment },
    });
    return { status: result.status, stdout: result.stdout, stderr: result.stderr };
  };

  beforeEach(() => {
    repository = mkdtempSync(join(tmpdir(), "shellcheck-"));
    execFileSync("git", ["init", "--quiet", repository]);
    mkdirSync(join(repository, "tools"));
    cpSync(SCRIPT, join(repository, "tools/shellcheck"));
  });
  afterEach(() => rmSync(repository, { recursive: true }));

  test("gives every shell script of the index to shellcheck, and nothing else", () => {
    write("lib.sh", "true\n");
    write("tools/with space", "#!/usr/bin/env bash\n", 0o755);
    write("tools/posix", "#!/bin/sh\n", 0o755);
    write("tools/program", "#!/usr/bin/env node\n", 0o755);
    write("notes", "#!/bin/sh\n");
    execFileSync("git", ["-C", repository, "add", "--all"]);
    write("uncommitted.sh", "true\n");
    write("fake/shellcheck", '#!/bin/sh\nprintf "<%s>" "$@"\n', 0o755);
    const { status, stdout } = run({ PATH: [join(repository, "fake"), process.env.PATH].join(delimiter) });
    expect(status).toBe(0);
    expect(stdout).toBe(
      "<--external-sources><lib.sh><tools/posix><tools/shellcheck><tools/with space>shellcheck: 4 scripts\n",
    );
  });

  test("fails when shellcheck does", () => {
    execFileSync("git", ["-C", repository, "add", "--all"]);
    write("fake/shellcheck", "#!/bin/sh\nexit 1\n", 0o755);
    expect(run({ PATH: [join(repository, "fake"), process.env.PATH].join(delimiter) }).status).toBe(1);
  });

  test.each([
    ["a workstation", {}, 0],
    ["CI", { CI: "true" }, 1],
  ])("without shellcheck on %s", (_where, environment, status) => {
    for (const program of ["bash", "dirname"]) {
      write(
        `bin/${program}`,
        `#!/bin/sh\nexec ${execFileSync("which", [program], { encoding: "utf8" }).trim()} "$@"\n`,
        0o755,
      );
    }
    const result = run({ ...environment, PATH: join(repository, "bin") });
    expect(result.status).toBe(status);
    expect(result.stderr).toBe(
      "shellcheck is not installed, scripts are not checked: install it, or run tools/lab/setup shellcheck\n",
    );
  });
});
