import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { assembleScript, type Delivery, deliveryInputs } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import { dnsDelivery } from "../../hosts/resolver";
import { dnsHosts } from "../../site/schema";
import { referenceSite } from "../sites";

const site = referenceSite;
const deliveries = [...dnsHosts(site).map((host) => dnsDelivery(site, host)), registryDelivery(site)];
const [first] = deliveries as [Delivery];

test.each(deliveries.map((delivery) => [`${delivery.name} of ${delivery.host.name}`, delivery] as const))(
  "the script of %s is one that bash can read",
  (_, delivery) => {
    execFileSync("bash", ["-n"], { input: assembleScript(delivery) });
  },
);

test("fails with its usage, and touches nothing, where the command is not one of its own", () => {
  expect(() => execFileSync("bash", ["-s", "aply"], { input: assembleScript(first), stdio: "pipe" })).toThrow(
    /usage: bash apply \| confirm \| verify \[full \| quiet\] \[findings\] \| inspect \| backups \| difference \[backup\] \| rollback \[backup\]/,
  );
});

test("whatever decides what a host gets is an input, so that a change of it is delivered again", () => {
  const inputs = deliveryInputs(first);
  expect(Object.keys(inputs)).toEqual([...first.files.map(({ path }) => path), "settings", "program", "version"]);
  const other = { ...first, settings: { ...first.settings, EXTERNAL_NAME: "example.org" } };
  expect(deliveryInputs(other)).not.toEqual(inputs);
  expect(inputs.program).toMatch(/^sha256:[0-9a-f]{64}$/);
});

const anyText = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", ""));

/** The script's data once bash has read it: the title, and the files as it would write them. */
const heldBy = (script: string): string[] => {
  const data = script.slice(0, script.indexOf("# shellcheck shell=bash"));
  const printed = `${data}\nprintf '%s\\0' "$TITLE" "$AGAIN"\nfor each in "\${CONTENTS[@]}"; do base64 -d <<<"$each"; printf '\\0'; done`;
  return execFileSync("bash", { input: printed, encoding: "utf8" }).split("\0").slice(0, -1);
};

test("every string reaches the host literally: titles and contents, whatever is in them", () => {
  fc.assert(
    fc.property(anyText, fc.array(anyText, { maxLength: 5 }), (title, contents) => {
      const delivery: Delivery = {
        ...first,
        host: { ...first.host, title },
        files: contents.map((content, index) => ({ path: `/etc/${index}`, mode: "0644", content })),
      };
      expect(heldBy(assembleScript(delivery))).toEqual([title, "warden deliver pve dns", ...contents]);
    }),
    { numRuns: 40 },
  );
});
