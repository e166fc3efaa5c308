import { Argument, Command } from "commander";
import { deliveriesTo } from "../hosts/deliveries";
import { asProgram, assembleScript, type Delivery, inspectionScript } from "../hosts/delivery";
import { HostError, type HostOutput, runOnHost } from "../hosts/ssh";
import type { ManagedHost } from "../site/host";
import type { Site } from "../site/schema";
import { exampleHost, examples } from "./examples";
import { changeTable, findingsOn, managedHost, scriptError } from "./host";
import { print, printText } from "./output";
import { selectedSite } from "./selected-site";

interface DeliverOptions {
  dryRun?: true;
  site?: string;
}

const chosen = (site: Site, host: ManagedHost, name: string | undefined): Delivery[] => {
  const all = deliveriesTo(site, host);
  const found = name === undefined ? all : all.filter((each) => each.name === name);
  if (found.length > 0) return found;
  throw new HostError(
    "no-delivery",
    `the site delivers no ${name ?? "names and no registries"} to ${host.name}`,
    `${all.length === 0 ? "name another host" : `give ${all.map((each) => each.name).join(" or ")}`}, or change the site`,
  );
};

const delivered = ({ name, host }: Delivery, output: HostOutput): void => {
  if (output.status === 0) return;
  throw new HostError(
    "failed",
    `${name} was not delivered to ${host.name} (${scriptError(output)})`,
    `correct that on ${host.name} or in the site, and run it again`,
  );
};

const deliver = async (delivery: Delivery): Promise<void> => {
  const { host } = delivery;
  delivered(delivery, await runOnHost(host, asProgram(assembleScript(delivery), "apply"), { onOutput: printText }));
  // A new connection proves that the host is still reachable; otherwise the host rolls back.
  delivered(delivery, await runOnHost(host, inspectionScript(delivery), { args: ["confirm"], onOutput: printText }));
};

const run = async (name: string, only: string | undefined, { dryRun, site: option }: DeliverOptions): Promise<void> => {
  const { site, file } = selectedSite(option, { changes: !dryRun });
  const host = managedHost(site, name);
  const deliveries = chosen(site, host, only);
  print(`site: ${file}`);
  for (const delivery of deliveries) {
    const { findings } = await findingsOn(host, inspectionScript(delivery), ["inspect"]);
    print(changeTable(delivery.name, { host: name, findings }));
  }
  if (dryRun) return;
  for (const delivery of deliveries) await deliver(delivery);
};

/** `warden deliver`: repeats a delivery to a host when Terraform sees no change. */
export const deliverCommand = (): Command =>
  new Command("deliver")
    .description(
      "show what of a host is not as the site has it, and deliver to it again, also where Terraform sees no change",
    )
    .argument("<host>", "a host of the site")
    .addArgument(
      new Argument("[delivery]", "one of the two (default: what the site has for the host)").choices([
        "dns",
        "registry",
      ]),
    )
    .option("--dry-run", "only show what would change")
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .addHelpText("after", () => {
      const host = exampleHost();
      return examples([
        [`warden deliver ${host} --dry-run`, "what is not as the site has it, and would be"],
        [`warden deliver ${host}`, "after it was changed by hand, rolled back or rebuilt"],
        [`warden deliver ${host} dns`, "its names alone"],
      ]);
    })
    .action(run);
