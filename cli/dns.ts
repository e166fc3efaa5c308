import { Argument, Command } from "commander";
import { assembleScript } from "../hosts/delivery";
import { dnsDelivery } from "../hosts/resolver";
import { HostError } from "../hosts/ssh";
import { hasResolver } from "../site/host";
import { dnsHosts, hasDns } from "../site/schema";
import { exampleHost, examples } from "./examples";
import { findingsOn, hostTable, managedHost } from "./host";
import { print, printJson } from "./output";
import { selectedSite } from "./selected-site";

interface DnsOptions {
  withoutFailoverTest?: true;
  site?: string;
  json?: true;
}

const run = async (
  _action: string,
  name: string,
  { withoutFailoverTest, site: option, json }: DnsOptions,
): Promise<void> => {
  const { site, file } = selectedSite(option, { changes: !withoutFailoverTest });
  const host = managedHost(site, name);
  if (!hasDns(site) || !hasResolver(host))
    throw new HostError(
      "no-resolver",
      `${name} has no resolver in the site; hosts that have one: ${
        dnsHosts(site)
          .map((each) => JSON.stringify(each.name))
          .join(", ") || "none"
      }`,
      "give one of them, or give the host a resolver in the site",
    );
  const script = assembleScript(dnsDelivery(site, host));
  const mode = withoutFailoverTest ? "quiet" : "full";
  if (!json) print(`site: ${file}`);
  // With a blocked primary this takes half a minute, so results are printed as they come.
  const { findings } = await findingsOn(host, script, ["verify", mode, "findings"], json ? undefined : print);
  const report = { host: name, findings };
  if (json) await printJson(report);
  else if (findings.length > 0) print(hostTable(report));
  process.exitCode = Number(findings.length > 0);
};

/** `warden dns verify`: whether names resolve on a host, even while its primary does not answer. */
export const dnsCommand = (): Command =>
  new Command("dns")
    .description("ask a host for the names of the site, also while its primary resolver is silent")
    .addArgument(new Argument("<action>", "what to do").choices(["verify"]))
    .argument("<host>", "a host of the site")
    .option("--without-failover-test", "do not let the primary fall silent for a few seconds")
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .option("--json", "print { host, findings } as JSON")
    .addHelpText("after", () => {
      const host = exampleHost();
      return examples([
        [`warden dns verify ${host}`, "names, also while the primary is silent for a few seconds"],
        [`warden dns verify ${host} --without-failover-test`, "names alone"],
      ]);
    })
    .action(run);
