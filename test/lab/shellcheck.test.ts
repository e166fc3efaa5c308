import { spawnSync } from "node:child_process";
import { assembleScript } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import { dnsDelivery } from "../../hosts/resolver";
import { dnsHosts } from "../../site/schema";
import { parsed, reference, small } from "../sites";
import { describeWith } from "./components";

describeWith(["shellcheck"], "the script of a delivery, checked as a whole", ({ shellcheck }) => {
  const [program, ...args] = shellcheck.command;
  const check = (script: string): string =>
    spawnSync(program, [...args, "--shell=bash", "-"], { input: script, encoding: "utf8" }).stdout;
  const deliveries = [reference, small]
    .map(parsed)
    .flatMap((site) => [...dnsHosts(site).map((host) => dnsDelivery(site, host)), registryDelivery(site)]);

  test.each(deliveries.map((delivery) => [delivery.name, delivery.host.name, delivery] as const))(
    "%s of %s is clean",
    (_name, _host, delivery) => {
      expect(check(assembleScript(delivery))).toBe("");
    },
  );

  test.each(deliveries.flatMap(({ files }) => files.filter(({ path }) => path.endsWith(".sh"))))(
    "$path, which stays on the host, is clean",
    ({ content }) => {
      expect(check(content)).toBe("");
    },
  );

  test("fails where a script does not quote", () => {
    expect(check("rm -rf $1/x\n")).toContain("SC2086");
  });
});
