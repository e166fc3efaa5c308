import { execFileSync } from "node:child_process";
import { knownHosts, sshArguments } from "../../hosts/ssh";
import { host } from "../../site/host";

const KEY = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAA=";
const JUMP_KEY = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYBBBB=";

const reached = (ssh: object) =>
  host.parse({ name: "h", title: "h", address: "192.0.2.1", ssh, deferred: { reason: "a test" } });
const argumentsFor = (ssh: object) => sshArguments(reached(ssh), "true", "/known hosts");

test("a pinned key is the only one that is taken, of the kind that Terraform compares too", () => {
  const args = argumentsFor({ hostKey: KEY });
  expect(args).toEqual(
    expect.arrayContaining([
      "StrictHostKeyChecking=yes",
      "UserKnownHostsFile=/known hosts",
      "GlobalKnownHostsFile=/dev/null",
      "HostKeyAlgorithms=ecdsa-sha2-nistp256",
    ]),
  );
  expect(knownHosts(reached({ hostKey: KEY }))).toBe(`[192.0.2.1]:22 ${KEY}\n192.0.2.1 ${KEY}\n`);
  expect(knownHosts(reached({ hostKey: KEY, port: 2222 }))).toBe(`[192.0.2.1]:2222 ${KEY}\n`);
});

test("a key that is not pinned is kept from the first connection on, never ignored", () => {
  const args = argumentsFor({});
  expect(args).toContain("StrictHostKeyChecking=accept-new");
  expect(args.join(" ")).not.toContain("UserKnownHostsFile");
  expect(knownHosts(reached({}))).toBe("");
});

test("a key file is the only key that is offered; without one the agent is used", () => {
  expect(argumentsFor({ identityFile: "/keys/id" })).toEqual(
    expect.arrayContaining(["/keys/id", "IdentitiesOnly=yes"]),
  );
  expect(argumentsFor({ identityFile: "~/.ssh/id" }).join(" ")).not.toContain("~");
  expect(argumentsFor({}).join(" ")).not.toMatch(/-i |IdentitiesOnly/);
});

test("never prompts, and waits for a few seconds at most", () => {
  expect(argumentsFor({})).toEqual(
    expect.arrayContaining(["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=10", "ServerAliveCountMax=3"]),
  );
});

test("any other user than root uses sudo, which must not ask", () => {
  expect(argumentsFor({}).slice(-2)).toEqual(["root@192.0.2.1", "true"]);
  expect(argumentsFor({ user: "ops" }).slice(-2)).toEqual(["ops@192.0.2.1", "sudo -n true"]);
});

test("a jump host has its own user, port and pinned key", () => {
  const ssh = { hostKey: KEY, jump: { address: "198.51.100.1", port: 2200, user: "hop", hostKey: JUMP_KEY } };
  expect(knownHosts(reached(ssh))).toContain(`[198.51.100.1]:2200 ${JUMP_KEY}\n`);
  const option = argumentsFor(ssh).find((word) => word.startsWith("ProxyCommand=")) ?? "";
  // Split into words by a shell, as when ssh runs it.
  const words = execFileSync("sh", ["-c", `printf '%s\\n' ${option.slice("ProxyCommand=".length)}`], {
    encoding: "utf8",
  }).split("\n");
  expect(words).toEqual(
    expect.arrayContaining([
      "UserKnownHostsFile=/known hosts",
      "StrictHostKeyChecking=yes",
      "2200",
      "[%h]:%p",
      "hop@198.51.100.1",
    ]),
  );
});
