import { TerraformStack, Testing } from "cdktf";
import { HostDelivery } from "../../constructs/host-delivery";
import type { Delivery } from "../../hosts/delivery";
import { dnsDelivery } from "../../hosts/resolver";
import type { Ssh } from "../../site/host";
import { dnsHosts } from "../../site/schema";
import { referenceSite } from "../sites";

const site = referenceSite;
const [host] = dnsHosts(site);
if (host === undefined) throw new Error("the reference site has no managed host");
const delivery = dnsDelivery(site, host);

const resourceOf = (props: Delivery) => {
  const stack = new TerraformStack(Testing.app(), "dns");
  new HostDelivery(stack, "host", { delivery: props });
  const [resource] = Object.values(JSON.parse(Testing.synth(stack, true)).resource.terraform_data);
  // biome-ignore lint/suspicious/noExplicitAny: JSON of Terraform
  return resource as any;
};
const withSsh = (ssh: Partial<Ssh>): Delivery => ({ ...delivery, host: { ...host, ssh: { ...host.ssh, ...ssh } } });

const resource = resourceOf(delivery);
const [makeInbox, upload, apply, confirm] = resource.provisioner;

test("the plan shows each file by its path, with its content", () => {
  expect(resource.triggers_replace["/etc/resolv.conf"]).toBe(delivery.files[0]?.content);
});

test("each content is in the output once: the script takes it from what the plan shows", () => {
  const script = upload.file.content;
  expect(script).toContain(`\${base64encode(self.triggers_replace["/etc/resolv.conf"])}`);
  expect(script).not.toContain("options timeout");
});

test("the script goes to a directory that only the user can read, is applied, then confirmed over a connection of its own", () => {
  expect(makeInbox["remote-exec"].inline[0]).toBe("install -d -m 0700 .registry-warden");
  expect(apply["remote-exec"].inline).toEqual([`bash '${upload.file.destination}' apply`]);
  expect(confirm["remote-exec"].inline).toEqual([
    `bash '${upload.file.destination}' confirm && rm -f '${upload.file.destination}'`,
  ]);
});

test("the script has a name of its own in each run, so that two operators do not run each other's", () => {
  expect(upload.file.destination).toBe(".registry-warden/dns-${self.id}.sh");
});

test("the steps are executed where the user logs in: /tmp may be mounted noexec", () => {
  expect(resource.connection.script_path).toBe("./.registry-warden-step-%RAND%.sh");
});

test("no rollback hangs on destroy, which Terraform also does before each replacement", () => {
  expect(JSON.stringify(resource)).not.toContain('"when"');
});

test("shell expansions of the script are not templates of Terraform", () => {
  const templates = upload.file.content.match(/(?<!\$)(\$\$)*\$\{[^}]*\}/g) ?? [];
  expect(new Set(templates)).toEqual(
    new Set([
      '${self.triggers_replace["settings"]}',
      '${self.triggers_replace["version"]}',
      "${sha256(jsonencode(self.triggers_replace))}",
      '${base64encode(self.triggers_replace["/etc/resolv.conf"])}',
      ...[".settings", ".service", ".timer"].map((ending) => {
        const path = delivery.files.map((file) => file.path).find((each) => each.endsWith(ending));
        return `\${base64encode(self.triggers_replace["${path}"])}`;
      }),
      '${self.triggers_replace["/var/lib/registry-warden/watch.sh"]}',
    ]),
  );
});

test("after a rollback the host can say how to deliver again", () => {
  expect(upload.file.content).toContain("AGAIN='warden deliver pve dns'\n");
});

test("the agent is used if no key is named", () => {
  expect(resource.connection).toEqual({
    type: "ssh",
    host: "192.168.1.127",
    port: 22,
    user: "root",
    timeout: "30s",
    script_path: "./.registry-warden-step-%RAND%.sh",
    agent: "true",
  });
});

test("a key is read when Terraform connects, so it is in no plan and in no state", () => {
  const { connection } = resourceOf(withSsh({ identityFile: "~/.ssh/id_ed25519" }));
  expect(connection).toMatchObject({ agent: "false", private_key: '${file(pathexpand("~/.ssh/id_ed25519"))}' });
});

test("a pinned host key is compared", () => {
  const hostKey = "ecdsa-sha2-nistp256 AAAA";
  expect(resourceOf(withSsh({ hostKey })).connection).toMatchObject({ host_key: hostKey });
});

test("with a jump host, either key is compared with a list of both, whichever of the two Terraform reads it for", () => {
  const hostKey = "ecdsa-sha2-nistp256 AAAA";
  const jump = { address: "192.0.2.1", port: 2222, user: "ops", hostKey: "ecdsa-sha2-nistp256 BBBB" };
  const { connection } = resourceOf(withSsh({ hostKey, jump }));
  expect(connection).toMatchObject({
    bastion_host: "192.0.2.1",
    bastion_port: 2222,
    bastion_user: "ops",
    bastion_host_key: "ecdsa-sha2-nistp256 BBBB",
  });
  // Terraform puts an address in front of the first line, so that line must be a key too, of a type the host does not
  // have.
  const [nobody, ...known] = connection.host_key.split("\n");
  expect(nobody).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]{68}$/);
  expect(known).toEqual(
    expect.arrayContaining([`${connection.host} ${hostKey}`, "[192.0.2.1]:2222 ecdsa-sha2-nistp256 BBBB"]),
  );
});

test("any other user than root becomes root through sudo, which must not ask", () => {
  const { provisioner } = resourceOf(withSsh({ user: "ops" }));
  expect(provisioner[2]["remote-exec"].inline).toEqual([`sudo -n bash '${provisioner[1].file.destination}' apply`]);
});
