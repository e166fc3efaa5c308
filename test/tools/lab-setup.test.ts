import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { quote } from "../../text/shell-word";

const tools = join(__dirname, "../../tools/lab");

describe("tools/lab/setup", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lab-setup-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Puts a program first on the PATH. */
  const fake = (name: string, script: string) =>
    writeFileSync(join(folder, name), `#!/bin/bash\n${script}`, { mode: 0o755 });
  const run = (command: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      encoding: "utf8",
      // With a socket as standard input, bash would read the user's bashrc.
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: [folder, process.env.PATH].join(delimiter), HOME: folder, WARDEN_LAB_CACHE: join(folder, "cache") },
    });
    return { status, stdout, stderr };
  };
  const setup = (...components: string[]) => run(join(tools, "setup"), ...components);

  test("an unknown component is wrong usage, and nothing is fetched", () => {
    const { status, stdout, stderr } = setup("openssl", "no such");
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toMatch(/^unknown component no\\ such; known components: registry registry-v3 .*\n$/);
  });

  test("a program of the machine is taken where its version does not matter", () => {
    fake("openssl", "exit 0");
    expect(setup("openssl")).toEqual({ status: 0, stdout: "openssl: on PATH\n", stderr: "" });
  });

  test("what cannot be fetched is named, and the rest is fetched all the same", () => {
    fake("openssl", "exit 0");
    fake("go", "echo 'no network' >&2; exit 1");
    const { status, stdout, stderr } = setup("crane", "openssl");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "openssl: on PATH\n" });
    expect(stderr).toBe("no network\ncrane: not fetched, see above; the tests that need it will be skipped\n");
  });

  test("what a script needs is fetched before it, and it is not made ready without", () => {
    fake("apt-get", "exit 1");
    const { status, stdout, stderr } = setup("hosts");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    const named = stderr.match(/^\S+(?=: not fetched, see above)/gm);
    expect(named).toEqual(["mmdebstrap", "systemd-nspawn", "dnsmasq", "unbound", "nft", "hosts"]);
  });

  test("the programs of a module are built at once, and of them only those that were asked for", () => {
    fake(
      "go",
      `case "$1" in
         mod) printf '\\t"GoMod": "%s/go.mod"\\n' "$HOME" ;;
         build)
           printf '%s\\n' "$*" >>"$HOME/builds"
           while [[ $1 != -o ]]; do shift; done
           for program in "\${@:3}"; do printf '#!/bin/true' >"$2/\${program##*/}"; chmod +x "$2/\${program##*/}"; done ;;
       esac`,
    );
    writeFileSync(join(folder, "go.mod"), "module k8s.io/kubernetes\n\ngo 1.24.0\n");
    const { status } = setup("kube-apiserver", "kube-controller-manager");
    expect(status).toBe(0);
    expect(readFileSync(join(folder, "builds"), "utf8")).toMatch(
      /^build .* k8s\.io\/kubernetes\/cmd\/kube-apiserver k8s\.io\/kubernetes\/cmd\/kube-controller-manager\n$/,
    );
  });

  describe("the Debian mirror", () => {
    const mirror = () =>
      run("bash", "-euc", `cache=${quote(folder)}; source ${quote(join(tools, "debian.sh"))}; debian_mirror`);

    test("is the first whose lists say that it is Debian's", () => {
      fake(
        "apt-get",
        `printf '%s\\n' 'Example http://other.example/' 'Debian http://one.example/debian/' 'Debian http://two.example/'`,
      );
      expect(mirror()).toEqual({ status: 0, stdout: "http://one.example/debian/", stderr: "" });
    });

    test("without lists is that of the machine's own release", () => {
      fake("apt-get", `if [[ "$*" == *--no-release-info* ]]; then printf 'http://one.example/debian/\\n'; fi`);
      expect(mirror()).toEqual({ status: 0, stdout: "http://one.example/debian/", stderr: "" });
    });

    test("that is not there is one line with the hint", () => {
      fake("apt-get", "exit 0");
      expect(mirror()).toEqual({
        status: 1,
        stdout: "",
        stderr: "no Debian mirror in the apt sources of this machine: use a Debian 12 machine or container\n",
      });
    });
  });
});
