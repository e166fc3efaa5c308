import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { assembleScript, deliveryInputs } from "../../hosts/delivery";
import { maintenanceDelivery, maintenanceTasks } from "../../hosts/maintenance";
import { registryDelivery } from "../../hosts/registry";
import { wardenProgram } from "../../hosts/warden-program";
import { MAINTENANCE_METRICS } from "../../monitoring/metrics";
import { parsePolicy } from "../../registry/storage/policy";
import { quote } from "../../text/shell-word";
import { referenceSite } from "../sites";

const site = referenceSite;
const { files, links } = maintenanceDelivery(site);
const file = (path: string): string => {
  const found = files.find((each) => each.path === path);
  if (found === undefined) throw new Error(`nothing is delivered to ${path}`);
  return found.content;
};
const unit = (name: string): string => file(`/etc/systemd/system/registry-maintenance-${name}`);

test("nothing that is delivered deletes what has no tag", () => {
  const collections = files
    .filter(({ path }) => !path.endsWith(".mjs"))
    .flatMap(({ content }) => content.match(/garbage-collect [^\n]*/g) ?? []);
  expect(collections.length).toBeGreaterThan(0);
  for (const each of collections) expect(each).not.toMatch(/ -m\b|--delete-untagged/);
});

test("the times are those of the site", () => {
  expect(unit("clean-up.timer")).toContain("OnCalendar=Mon,Tue,Wed,Thu,Fri,Sat,Sun *-*-* 02:00:00\n");
  expect(unit("caches.timer")).toContain("OnCalendar=Sun *-*-* 03:00:00\n");
  expect(unit("scan.timer")).toContain(
    "OnCalendar=Mon,Tue,Wed,Thu,Fri,Sat *-*-* 02:30:00\nOnCalendar=Sun *-*-* 03:30:00\n",
  );
  expect(unit("scrub.timer")).toContain("OnCalendar=Sat *-*-* 04:40:00\n");
  expect(unit("disk.timer")).toContain("OnCalendar=*-*-* *:00/15:00\n");
});

test("a missed run is caught up, and each timer is enabled", () => {
  const timers = files.map(({ path }) => path).filter((path) => path.endsWith(".timer"));
  for (const timer of timers) expect(file(timer)).toContain("Persistent=true\n");
  expect(links.map(({ path, target }) => join(path, "..", target)).sort()).toEqual(timers.sort());
});

test("however a task ends, what it took out of service comes back", () => {
  const tasks = site.registry.maintenance === undefined ? [] : maintenanceTasks(site.registry.maintenance);
  expect(files.filter(({ path }) => path.endsWith(".service"))).toHaveLength(tasks.length);
  for (const { task } of tasks) {
    const run = '/usr/bin/env bash "/opt/registry/maintenance.sh"';
    expect(unit(`${task}.service`)).toContain(`ExecStart=${run} ${task}\n`);
    expect(unit(`${task}.service`)).toContain(`ExecStopPost=${run} restore ${task}\n`);
  }
});

test("a success may be as old as one missed run makes it, by no more than a day", () => {
  const { maintenance } = site.registry;
  if (maintenance === undefined) throw new Error("the reference site has no maintenance");
  const day = 24 * 60 * 60;
  expect(Object.fromEntries(maintenanceTasks(maintenance).map(({ task, allowedAge }) => [task, allowedAge]))).toEqual({
    "clean-up": 2 * day,
    caches: 8 * day,
    scan: 2 * day + 3600,
    scrub: 8 * day,
    disk: 3600,
  });
});

test("a job that the site does not have has no unit", () => {
  const { scan: _, ...others } = site.registry.maintenance ?? { scan: undefined };
  const without = maintenanceDelivery({
    ...site,
    registry: { ...site.registry, maintenance: others as typeof site.registry.maintenance },
  });
  expect(without.files.filter(({ path }) => path.includes("-scan."))).toEqual([]);
  expect(without.links.filter(({ path }) => path.includes("-scan."))).toEqual([]);
});

test("the policy file is the site's retention, as warden prune reads it", () => {
  const retention = site.registry.services.flatMap((service) =>
    service.role === "private" ? [service.retention] : [],
  );
  expect(parsePolicy(JSON.parse(file("/opt/registry/retention-private.json")))).toEqual(retention[0]);
});

test("the settings name every metric of the maintenance, and no secret", () => {
  const settings = file("/opt/registry/maintenance.settings");
  for (const metric of Object.keys(MAINTENANCE_METRICS)) expect(settings).toContain(`='${metric}'\n`);
  for (const metric of Object.keys(MAINTENANCE_METRICS)) expect(settings).toContain(`['${metric}']=`);
  expect(settings).not.toContain("maintenance.env");
});

test("each registry has settings of its own, for its role", () => {
  const { services } = site.registry;
  const urls = services.map(({ name, role }) => {
    const settings = file(`/opt/registry/maintenance.${name}.settings`);
    expect(settings).toContain(`ROLE='${role}'\n`);
    expect(/^POLICY=''$/m.test(settings)).toBe(role !== "private");
    expect(/^UPSTREAM=''$/m.test(settings)).toBe(role !== "proxy");
    return /^METRICS_URL=(.*)$/m.exec(settings)?.[1];
  });
  expect(new Set(urls).size).toBe(services.length);
});

test("each registry has a group of its own in the Pushgateway", () => {
  expect(file("/opt/registry/maintenance.private.settings")).toContain(
    "METRICS_URL='http://pushgateway.viktorbarzin.lan:9091/metrics/job/registry-maintenance/instance/registry.viktorbarzin.me%3A5050/task'",
  );
});

test("the program of the host knows the commands that the maintenance runs, and no other", () => {
  const folder = mkdtempSync(join(tmpdir(), "warden-"));
  try {
    const path = join(folder, "warden.mjs");
    writeFileSync(path, file("/opt/registry/warden.mjs"));
    const help = execFileSync(process.execPath, [path, "--help"], { encoding: "utf8", cwd: folder });
    const commands = [...help.matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name);
    expect(commands).toEqual(["verify", "scan", "scrub", "diagnose", "prune", "repair", "undelete", "help"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a bundle is in the script as it is, and in the plan as its digest", () => {
  const delivery = registryDelivery(site);
  const program = wardenProgram();
  const sum = createHash("sha256").update(program).digest("hex");
  expect(deliveryInputs(delivery)["/opt/registry/warden.mjs"]).toBe(`sha256:${sum}`);
  expect(assembleScript(delivery)).toContain(`'${Buffer.from(program).toString("base64")}'`);
});

/** What a shell function of the delivery prints. */
const shell = (
  command: string,
  texts: readonly string[] = ["garbage-collect", "/opt/registry/cleanup-tags.sh"],
): string =>
  execFileSync(
    "bash",
    [
      "-c",
      `HOST=lab; REPLACED=(${texts.map(quote).join(" ")}); source hosts/core.sh; source hosts/collectors.sh; ${command}`,
    ],
    {
      encoding: "utf8",
    },
  );

const CRONTAB = "/var/spool/cron/crontabs/root";
const commandOf = (line: string, path = CRONTAB): string => shell(`cron_command "$(user_in ${path})" ${quote(line)}`);

describe("entries of cron", () => {
  test.each([
    [
      "0 3 * * 0 /usr/bin/docker exec r registry garbage-collect -m x",
      "/usr/bin/docker exec r registry garbage-collect -m x",
    ],
    ["  */5 1,2\t* * mon-fri   python3 x", "python3 x"],
    ["@daily a b", "a b"],
    ["# 0 3 * * 0 garbage-collect", ""],
    ["# disabled by registry-warden: 0 3 * * 0 garbage-collect", ""],
    ["PATH=/usr/bin:/garbage-collect a b c d e f", ""],
    ['MAILTO = "a b c d e f g"', ""],
    ["", ""],
  ])("%j has the command %j", (line, command) => expect(commandOf(line)).toBe(command));

  test("of the system name a user in front of it", () => {
    expect(commandOf("0 3 * * 0 root docker x", "/etc/cron.d/x")).toBe("docker x");
    expect(commandOf("@reboot root docker x", "/etc/crontab")).toBe("docker x");
  });

  test.each([
    ["docker exec r registry garbage-collect x", true],
    ["python3 /opt/registry/cleanup-tags.sh 10", true],
    ["rsync -a /opt/registry/data nas:/registry", false],
    ["/opt/registry/cleanup-tagsXsh", false],
  ])("%j: disabled is %p", (command, replaced) => {
    expect(shell(`replaced_in ${quote(command)}`) !== "").toBe(replaced);
  });

  test("are compared literally with any text of a site", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1 }).map((each) => each.replaceAll(/[\0\r\n]/g, "x"));
    fc.assert(
      fc.property(text, text, (wanted, command) => {
        expect(shell(`replaced_in ${quote(command)}`, [wanted])).toBe(command.includes(wanted) ? wanted : "");
      }),
      { numRuns: 40 },
    );
  });
});
