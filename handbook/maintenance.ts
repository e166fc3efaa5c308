import { WARDEN, wardenPaths } from "../hosts/compose";
import { maintenanceTasks } from "../hosts/maintenance";
import { unitOf } from "../hosts/systemd-unit";
import { imageReference } from "../site/image";
import type { Maintenance, Schedule } from "../site/maintenance";
import { containerName, registryPaths, type Service } from "../site/registry";
import { privateServices, type RegistrySite, registryHost } from "../site/schema";
import { type Block, command, heading, paragraph, steps, table } from "./document";
import { compose, onHost, runbookOf } from "./places";
import { link, md, type Prose, plain, type Shell, sh } from "./prose";

/** The section of the registry host's runbook. */
export const maintenanceSection = (site: RegistrySite): Prose =>
  link(md`Maintenance`, `${runbookOf(registryHost(site))}#maintenance`);

/** `warden` on the registry host, as the maintenance runs it. */
const wardenService = (site: RegistrySite): Shell => sh`${compose(site)} run --rm ${WARDEN}`;

/** The paths of a service's data and policy in its container. */
const seenByWarden = (service: Service) => wardenPaths(service.name);

const service = (task: string): string => `${unitOf(task)}.service`;

const times = (schedule: Schedule): Prose =>
  plain(schedule.map(({ days, at }) => `${days.length === 7 ? "every day" : days.join(", ")} at ${at}`).join("; "));

const schedules = ({ cleanUp, caches, scan, scrub, disk }: Maintenance): Readonly<Record<string, Prose>> => ({
  ...(cleanUp === undefined ? {} : { "clean-up": times(cleanUp) }),
  ...(caches === undefined ? {} : { caches: times(caches) }),
  ...(scan === undefined ? {} : { scan: times(scan) }),
  scrub: times(scrub),
  disk: md`every ${disk.everyMinutes} minutes`,
});

/** What each task does, and its effect. */
const WORK: Readonly<Record<string, Prose>> = {
  "clean-up": md`each private registry: verified, made read-only, pruned to its policy, its garbage collected, put back, verified again. Pulls go on, pushes are refused with ${"405"} meanwhile. This is what reclaims its space`,
  caches: md`each pull-through cache whose upstream answers: stopped, its garbage collected, started. What was not asked for in a week the cache drops by itself; this reclaims what nothing refers to any more`,
  scan: md`the storage of each registry, while it serves: what is broken on the disk. It reclaims nothing`,
  scrub: md`every blob of each registry read against its name, which finds what a disk has altered and nobody has pulled yet. It reads when nobody else does and never fast, beside the other tasks, for three hours at most; the next run goes on where it stopped. It changes nothing`,
  disk: md`the space that is left, and every report once more. It reclaims nothing, and puts back what a task that was killed left behind`,
};

/** The schedule of the tasks. */
export const maintenanceTable = (maintenance: Maintenance): Block =>
  table(
    [md`task`, md`when, by the clock of the host`, md`what it does`],
    Object.entries(schedules(maintenance)).map(([task, when]) => [md`${task}`, when, WORK[task] ?? md``]),
  );

/** The recent log of a task. */
export const journalOf = (site: RegistrySite, task: string): Block =>
  command(onHost(registryHost(site)), sh`journalctl --no-pager --lines 40 --unit ${service(task)}`);

/** Runs a task now, and waits until it has finished. */
export const runTaskNow = (site: RegistrySite, task: string): Block =>
  command(onHost(registryHost(site)), sh`systemctl start ${service(task)}`);

/** The tasks that do work, for pages that have to name each. */
const workingTasks = (site: RegistrySite): string[] =>
  site.registry.maintenance === undefined
    ? []
    : maintenanceTasks(site.registry.maintenance)
        .map(({ task }) => task)
        .filter((task) => task !== "disk");

export const listTimers = (site: RegistrySite): Block =>
  command(onHost(registryHost(site)), sh`systemctl list-timers --all --no-pager ${`${unitOf("*")}.timer`}`);

/** An inactive timer does not start its task. */
export const timersActive = (site: RegistrySite): Block => {
  const timers = (site.registry.maintenance === undefined ? [] : maintenanceTasks(site.registry.maintenance)).map(
    ({ task }) => `${unitOf(task)}.timer`,
  );
  return command(onHost(registryHost(site)), sh`systemctl is-active ${timers}`, {
    expected: timers.map(() => "active").join("\n"),
  });
};

/** The messages of a failed task, and their meaning. */
const failures = (): Block =>
  table(
    [md`it says`, md`it means`],
    [
      [
        md`was not found whole`,
        md`something is broken already, or could not be looked at: the lines above tell. Nothing was removed, and nothing is until it is repaired: ${link(md`An image cannot be pulled`, "runbooks/rebuild-image.md")}`,
      ],
      [
        md`is not whole after the clean-up`,
        md`this must not happen: stop the timer, keep what it said, and repair as above`,
      ],
      [
        md`holds what its garbage collection cannot pass`,
        md`something lies in the store that no registry wrote: the lines tell its path and the command that moves it out. Nothing was done; move it, and run the task again`,
      ],
      [
        md`${"orphan-layer-link"}, of the task scan`,
        md`links whose layers were collected, as after images were deleted: harmless. Remove them with the command below`,
      ],
      [md`the store is damaged`, md`the disk says what the registry does not: repair as above`],
      [
        md`could not be checked`,
        md`the registry could not be asked; the line above says why. Nothing is known of its images, and nothing was removed`,
      ],
      [
        md`warden cannot be run`,
        md`a file that it needs is missing or cannot be read, or its image is; what follows names it. Nothing was done`,
      ],
      [
        md`it cannot be noted that … is out of service`,
        md`the disk of ${"/var/lib/registry-warden"} has no room, not even for a line. Nothing was done: free some, as when the disk is full`,
      ],
      [
        md`cannot be kept, so it counts as failed`,
        md`the same disk has no room for a report. The work was done, and its success cannot be told`,
      ],
      [
        md`cannot be pruned`,
        md`there is no plan, for the reason in the line above. Nothing was done, and clients went on pushing`,
      ],
      [
        md`the report of what runs in …`,
        md`it is missing, too old or malformed, so nothing was done: ${"retention.protectInUse"} of the service waits for it. The probe of that cluster says why it does not come`,
      ],
      [md`answers 401`, md`the account in the credentials file may not push, or its password was changed`],
      [
        md`does not answer, so … could not start again`,
        md`the upstream of a cache is down. The cache is left as it is`,
      ],
      [
        md`does not come back`,
        md`a service did not become healthy within minutes. It is tried again with each look at the disk; look at its logs`,
      ],
      [
        md`corrupt … blobs`,
        md`of a scrub, which did its work: the disk holds other bytes than were pushed: ${link(md`RegistryBlobsCorrupt`, "alerts/RegistryBlobsCorrupt.md")}`,
      ],
      [md`was not taken`, md`the Pushgateway did not take a report. It is pushed again with each look at the disk`],
      [md`waits for the running delivery or task`, md`one at a time: it begins when that has ended`],
    ],
  );

/** The part of the registry host's runbook; empty for a site without maintenance. */
export const maintenanceRunbook = (site: RegistrySite): Block[] => {
  const { maintenance, images } = site.registry;
  if (maintenance === undefined) return [];
  const host = registryHost(site);
  const [first = "disk"] = workingTasks(site);
  return [
    heading(md`Maintenance`),
    paragraph(
      md`systemd timers start it; one task runs at a time, and none during a deploy. ${"warden"} runs in a container of ${images.node === undefined ? "" : imageReference(images.node)} with the account of ${maintenance.credentialsFile}. Nothing of it uses ${"garbage-collect -m"}, which was ${link(md`the incident of 2026-04-19`, "post-mortems/2026-04-19-index-without-children.md")}.`,
    ),
    maintenanceTable(maintenance),
    paragraph(md`When did each run, and when is it due?`),
    listTimers(site),
    paragraph(md`What did it say? One unit a task:`),
    journalOf(site, first),
    paragraph(md`Run it now. It waits for its turn, and ends when the work is done:`),
    runTaskNow(site, first),
    paragraph(
      md`Stop one that is running. Whatever it took out of service comes back, and nothing is half removed; killing it or cutting the power is no worse:`,
    ),
    command(onHost(host), sh`systemctl stop ${service(first)}`),
    paragraph(md`Keep it from starting, until the next boot or deploy; to end it for good, take it out of the site:`),
    command(onHost(host), sh`systemctl stop ${`${unitOf(first)}.timer`}`),
    command(onHost(host), sh`systemctl start ${`${unitOf(first)}.timer`}`),
    heading(md`When a task fails`, 3),
    failures(),
    ...removeLayerLinks(site),
    paragraph(
      md`Is a registry still read-only? This puts back whatever a task left behind, and does nothing otherwise:`,
    ),
    command(onHost(host), sh`bash ${registryPaths(site.registry.directory).maintenance} restore`),
  ];
};

/** Resolves the findings of a scan that are leftovers of deletions. */
const removeLayerLinks = (site: RegistrySite): Block[] => [
  paragraph(md`Remove layer links that lead nowhere, of each private registry; nothing else is changed:`),
  ...privateServices(site.registry).map((each) =>
    command(onHost(registryHost(site)), sh`${wardenService(site)} scan ${seenByWarden(each).data} --fix-layer-links`),
  ),
];

/** How to free space, for each private registry and for the caches. */
export const reclaim = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  const privates = site.registry.services.filter(
    (service) => service.role === "private" && service.retention !== undefined,
  );
  return [
    ...privates.flatMap((service) => [
      paragraph(
        md`What would a clean-up of ${containerName(service)} remove, and how much would that free? This changes nothing, and it refuses while anything is broken:`,
      ),
      command(
        onHost(host),
        sh`${wardenService(site)} prune ${seenByWarden(service).data} --policy ${seenByWarden(service).retention}`,
        {
          expected: `store     ${seenByWarden(service).data}\nkeep      …\nremove    …; the garbage collection frees …`,
        },
      ),
    ]),
    ...(privates.length === 0 || site.registry.maintenance?.cleanUp === undefined
      ? []
      : [
          paragraph(
            md`Enough? Then run it now. It ends when the work is done, and what it says if it fails is in ${maintenanceSection(site)}:`,
          ),
          runTaskNow(site, "clean-up"),
          command(onHost(host), sh`systemctl show --property Result ${service("clean-up")}`, {
            expected: "Result=success",
          }),
        ]),
    steps(
      md`Not enough: keep less (${"retention"} in the site), deploy, and look again.`,
      md`Still not enough: make the disk larger. A registry on a full disk takes no push.`,
    ),
  ];
};

/** The recent log of every task: for the pages of the alerts. */
export const journals = (site: RegistrySite): Block[] => workingTasks(site).map((task) => journalOf(site, task));
export const tasksNow = (site: RegistrySite): Block[] => workingTasks(site).map((task) => runTaskNow(site, task));

/** The unit that collects data which could still be restored; undefined if nothing collects garbage here. */
const cleanUpUnit = ({ registry }: RegistrySite): string | undefined =>
  registry.maintenance?.cleanUp === undefined ? undefined : unitOf("clean-up");

/** The first step, before anything is restored. */
export const stopCleanUp = (site: RegistrySite): Block[] => {
  const unit = cleanUpUnit(site);
  return [
    heading(md`First`),
    paragraph(
      md`What can be put back is on the disk until the next garbage collection, and gone after it. Keep it from starting, and stop it if it is running:`,
    ),
    unit === undefined
      ? paragraph(md`The site has no clean-up: stop whatever else collects garbage there, a cron entry for one.`)
      : command(onHost(registryHost(site)), sh`systemctl stop ${`${unit}.timer`} ${`${unit}.service`}`),
  ];
};

/** The last step, after everything is verified. */
export const startCleanUp = (site: RegistrySite): Block[] => {
  const unit = cleanUpUnit(site);
  if (unit === undefined) return [];
  const host = onHost(registryHost(site));
  return [
    heading(md`Last`),
    paragraph(
      md`Let the clean-up start again. The retention of the site still applies: what it does not keep goes then.`,
    ),
    command(host, sh`systemctl start ${`${unit}.timer`} && systemctl is-active ${`${unit}.timer`}`, {
      expected: "active",
    }),
  ];
};
