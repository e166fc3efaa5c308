import { NGINX } from "../hosts/compose";
import { isClusterProbe, type Probe } from "../site/monitoring";
import { containerName, dataDirectory, type Service } from "../site/registry";
import {
  hasCluster,
  type MonitoredSite,
  ownPushgateway,
  privateServices,
  pushgatewayUrl,
  pushgatewayUrlOnHost,
  type RegistrySite,
  registryHost,
  serviceInstance,
  serviceUrl,
} from "../site/schema";
import { cacert, fetchAuthority } from "./authority";
import { certificateOnDisk, certificateSection, ROTATION, servedCertificate } from "./certificate";
import { inCluster, kubectl } from "./cluster";
import { firstAid, measured } from "./disk";
import { type Block, command, list, paragraph, steps } from "./document";
import {
  journalOf,
  journals,
  listTimers,
  maintenanceSection,
  reclaim,
  runTaskNow,
  tasksNow,
  timersActive,
} from "./maintenance";
import { compose, onHost, runbookOf, WORKSTATION } from "./places";
import { deployProbe, lastRun, resume, runNow } from "./probe-runs";
import { link, md, type Prose, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";
import { TAG_DELETED } from "./undelete-runbook";
import { bringWardenToAsk, deliverRegistries, STORE, verifyRegistry, wardenHere, wardenOnStore } from "./warden";
import { WORKLOAD_IMAGE, workloadsHere } from "./workload-runbook";

/** The registry that an alert is about, and its probe. */
export interface MonitoredService {
  readonly site: RegistrySite & MonitoredSite;
  /** Undefined if the maintenance reports. */
  readonly probe: Probe | undefined;
  readonly service: Service;
}

/** What a person on call has to know about an alert. */
export interface AlertAdvice {
  /** Whether a clean-up would make it worse: it is stopped before anything else, and restarted last. */
  readonly stopsCleanUp?: true;
  readonly meaning: Prose;
  readonly impact: Prose;
  readonly diagnosis: (watched: MonitoredService) => Block[];
  readonly mitigation: (watched: MonitoredService) => Block[];
}

/** The probe behind an alert. */
const probeOf = ({ probe }: MonitoredService): Probe => {
  if (probe === undefined) throw new Error("an alert about a probe is about a registry without one");
  return probe;
};

const firstLook = (site: RegistrySite): Prose => link(md`First look`, `${runbookOf(registryHost(site))}#first-look`);

const brokenImage = link(md`An image cannot be pulled`, REBUILD);

/** Prints nothing if there is none, which differs from the expected output. */
const someRepositories = ({ site, service }: MonitoredService): Block =>
  command(
    onHost(registryHost(site)),
    sh`find ${`${dataDirectory(site.registry, service)}/docker/registry/v2/repositories`} -mindepth 1 -maxdepth 1 -printf ${"repository %f\\n"}`,
    { expected: "repository …" },
  );

/** Ends every mitigation: how to see that it worked. */
const verified = (watched: MonitoredService): Block[] => [
  paragraph(
    md`Verify with a run of the probe now. What was seen by several runs ends after three good ones; anything else with the next evaluation:`,
  ),
  ...runNow(watched.site, probeOf(watched)),
];

const verify = ({ site, service }: MonitoredService): Block[] => [
  paragraph(md`What does the registry say from here?`),
  ...verifyRegistry(site, service),
];

const answers = ({ site, service }: MonitoredService): Block[] => [
  paragraph(md`Does it answer at all?`),
  ...fetchAuthority(site, service),
  command(
    WORKSTATION,
    sh`curl --silent --show-error --max-time 10 --output /dev/null --write-out ${"%{http_code}\\n"} ${[...cacert(site, service), `${serviceUrl(site, service)}/v2/`]}`,
    { expected: service.role === "private" ? "401" : "200" },
  ),
];

const probeRuns = (watched: MonitoredService): Block[] => [
  paragraph(md`When did the probe last run, and what did it say?`),
  ...lastRun(watched.site, probeOf(watched)),
];

/** The default table has "<none>" in place of an address, which looks nearly the same. */
const READY = 'jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}ready at {.addresses[0]}{"\\n"}{end}';

const gateway = ({ site }: MonitoredService): Block[] => {
  const url = pushgatewayUrl(site);
  const asked = paragraph(md`Does the Pushgateway (${url}) run? It forgets everything when it restarts:`);
  if (ownPushgateway(site) !== undefined)
    return [
      asked,
      command(
        onHost(registryHost(site)),
        sh`curl --silent --show-error --max-time 10 ${`${pushgatewayUrlOnHost(site)}/-/ready`}`,
        {
          expected: "OK",
        },
      ),
    ];
  const [name = ""] = new URL(url).hostname.split(".");
  return hasCluster(site)
    ? [
        asked,
        inCluster(
          sh`${kubectl(site)} get endpointslices --selector ${`kubernetes.io/service-name=${name}`} --output ${READY}`,
          "ready at …",
        ),
      ]
    : [
        asked,
        command(WORKSTATION, sh`curl --silent --show-error --max-time 10 ${`${url}/-/ready`}`, { expected: "OK" }),
      ];
};

/** Whether the API server lets the probe list the workloads. */
const mayList = ({ site, probe }: MonitoredService): Block[] =>
  hasCluster(site) && probe !== undefined
    ? [
        inCluster(
          sh`${kubectl(site)} auth can-i list pods --all-namespaces --as ${`system:serviceaccount:${site.monitoring.namespace.name}:${probe.name}`}`,
          "yes",
        ),
      ]
    : [];

const endOfCertificate = ({ site, service }: MonitoredService): Block[] =>
  service.role === "private"
    ? [
        paragraph(md`Which certificate is served, and until when? One that has ended says "will expire":`),
        servedCertificate(site, service),
      ]
    : [];

const renew = ({ site, service }: MonitoredService): Block[] => [
  ...(service.role === "private" ? certificateOnDisk(site, service) : []),
  paragraph(
    md`Not good on the disk either: renew it by the means that you use for it, and put it in place as ${link(md`Credentials and certificates`, ROTATION)} has it, checked before it is used.`,
  ),
];

const ADVICE: Readonly<Record<string, AlertAdvice>> = {
  RegistryManifestIntegrityFailure: {
    stopsCleanUp: true,
    meaning: md`The registry lists images that it cannot serve: an index, a manifest, a configuration or a layer is missing or damaged. Two of the last six runs have seen it, one after the other or not. Three good runs in a row end the alert: neither a restart of the Pushgateway nor one good run does.`,
    impact: md`Whoever pulls one of these images fails, also where nothing changed: CI, a node that was replaced, a pod that moves. What is running goes on to run.`,
    diagnosis: (watched) => [
      ...verify(watched),
      list(
        md`${"missing"} and ${"server-error"}: lost parts. How many images does it name? One: a push or a deletion. Many: a clean-up.`,
        md`${"truncated"}, ${"size-mismatch"}, ${"digest-mismatch"}: the disk. Look at ${"dmesg"} and at its free space.`,
        md`Everything at once: another registry may answer in its place. ${firstLook(watched.site)} tells.`,
      ),
    ],
    mitigation: (watched) => [
      paragraph(md`${brokenImage} has it step by step: repair what can be put back, rebuild the rest, look for more.`),
      ...verified(watched),
    ],
  },
  RegistryWorkloadImageMissing: {
    meaning: md`Pods or CronJobs of the cluster need images that the registry does not have, or not whole: by the tag or the digest that they ask for, or by the digest that really runs. Two of the last six runs have seen it. Three good runs in a row end the alert.`,
    impact: md`What runs goes on to run, and cannot be pulled again: the next start on a node that does not have the image fails. A name that was mistyped looks the same.`,
    diagnosis: (watched) => [
      paragraph(md`**Do not restart, scale or drain** what runs it. What did the probe name, and what needs it?`),
      ...lastRun(watched.site, probeOf(watched)),
      ...workloadsHere(watched.site, probeOf(watched)),
    ],
    mitigation: (watched) => [
      paragraph(md`${link(md`An image that runs was removed`, WORKLOAD_IMAGE)} has it step by step.`),
      ...verified(watched),
    ],
  },
  RegistryWorkloadsUnknown: {
    meaning: md`The last runs of the probe could not learn all that runs in the cluster, could not ask the registry for some of it, or could not push the report of it.`,
    impact: md`Whether what runs can be pulled again is not known. A clean-up that waits for the report (${"retention.protectInUse"}) refuses to remove anything once it is too old, and the storage grows.`,
    diagnosis: (watched) => [
      ...probeRuns(watched),
      list(
        md`"refuses the list of pods": the service account has lost its right. The answer below has to be ${"yes"}.`,
        md`"the report was not taken", with 401 or 403: the account that pushes is missing or refused. With 405: the registry was in its maintenance; the next run reports.`,
        md`"could not be read": an object that no API server would take. Its version may be newer than this program.`,
        md`Images in the state ${"unknown"}: the registry does not answer for them, or refuses them to the probe.`,
      ),
      ...mayList(watched),
    ],
    mitigation: (watched) => [
      ...deployProbe(watched.site, probeOf(watched)),
      paragraph(md`The account that pushes: ${link(md`Credentials and certificates`, ROTATION)}.`),
      ...verified(watched),
    ],
  },
  RegistryCatalogInaccessible: {
    meaning: md`The probe asked for the list of repositories, again and again for minutes, and got no answer that it could read; or two of its last six runs could not. Three good runs in a row end the alert.`,
    impact: md`Pulls and pushes are likely to fail too. Nothing else is known about the registry, so this alert mutes the one about broken images.`,
    diagnosis: (watched) => [
      ...answers(watched),
      list(
        md`${"502"} or ${"504"}: the reverse proxy runs, ${containerName(watched.service)} does not. Go to ${firstLook(watched.site)}.`,
        ...(watched.service.role === "private"
          ? [
              md`"certificate has expired", and ${"000"}: that is all that is wrong. Go to ${link(md`its certificate`, certificateSection(watched.site, watched.service))}.`,
            ]
          : []),
        md`No answer, and ${"000"}: the reverse proxy, the host, or the network between. Go to ${firstLook(watched.site)}.`,
        md`The expected number: it answers here and not where the probe runs, or it refuses the account of the probe.`,
      ),
      ...endOfCertificate(watched),
      ...probeRuns(watched),
    ],
    mitigation: (watched) => [
      paragraph(md`${firstLook(watched.site)} leads to the service that is down. The whole stack is started with:`),
      command(onHost(registryHost(watched.site)), sh`systemctl restart ${watched.site.registry.unit}`),
      ...verified(watched),
    ],
  },
  RegistryCatalogEmpty: {
    meaning: md`The registry lists no repository at all, with a proper answer, and it did list some before.`,
    impact: md`Every pull of an image that exists only there fails. A push would go to a store that nobody expects.`,
    diagnosis: (watched) => [
      ...answers(watched),
      ...(watched.service.role === "private"
        ? [
            paragraph(
              md`Anything but ${"401"}, ${"200"} above all: **another registry** answers in its place. Until that is corrected, pushes go there.`,
            ),
          ]
        : []),
      paragraph(md`Are the data there?`),
      someRepositories(watched),
      paragraph(md`Nothing: on which disk is that, and does the host want another one mounted there?`),
      command(
        onHost(registryHost(watched.site)),
        sh`df ${dataDirectory(watched.site.registry, watched.service)} && findmnt --fstab --noheadings --output TARGET,SOURCE || true`,
      ),
      paragraph(md`Is what runs there what was delivered? An edited file shows here:`),
      command(WORKSTATION, sh`${wardenHere} drift ${registryHost(watched.site).name}`, {
        expected: `site: …\n${registryHost(watched.site).name}: as the site has it`,
      }),
    ],
    mitigation: (watched) => [
      paragraph(md`Something differs from the site, and another registry answers: deliver it again.`),
      deliverRegistries(watched.site),
      paragraph(
        md`No repository, and the host has a disk for it that is not mounted: mount it. A container sees it when it starts again, and not before:`,
      ),
      command(
        onHost(registryHost(watched.site)),
        sh`mount --all && ${compose(watched.site)} restart ${containerName(watched.service)} ${NGINX}`,
      ),
      someRepositories(watched),
      paragraph(
        md`No repository on the right disk: the data are gone. ${link(md`Restore the copy`, restoreTarget(watched.site))}.`,
      ),
      paragraph(md`Does it ask for an account, and is everything there again?`),
      ...answers(watched),
      ...verifyRegistry(watched.site, watched.service),
      ...verified(watched),
    ],
  },
  RegistryIntegrityCoverageLost: {
    stopsCleanUp: true,
    meaning: md`Repositories that were there are missing, or more than half of the tags. Where the maintenance cleans up, this compares with what is there since the last clean-up, and with what that said it left: a clean-up of it does not ring. Elsewhere it compares with the most of seven days, for a registry that the site does not run with the most of one day.`,
    impact: md`Either somebody deleted something, or a part of the registry has become invisible: it is then neither served nor checked.`,
    diagnosis: (watched) => [
      ...verify(watched),
      paragraph(
        md`A registry of the site goes on listing a repository whose tags were deleted, so that one that is missing was lost, or removed on the disk by hand. Registries of other makers drop a repository that is deleted: **nothing here can tell that from a loss**. Ask whoever owns it.`,
      ),
    ],
    mitigation: (watched) => [
      list(
        md`Deleted on purpose: silence the alert, or wait. It ends with the next clean-up, or when what was there is forgotten.`,
        md`Anything else: ${brokenImage}, from "Look for more" on. The scan of the disk finds what the list hides.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryRepositoriesWithoutTags: {
    meaning: md`The catalog lists a repository, and its list of tags answers 404, for a day now.`,
    impact: md`None, where nothing was ever tagged there: a push that did not end leaves such a repository, and so do images that are only pushed by digest. Otherwise its tags are lost, and nothing of it can be pulled by tag.`,
    diagnosis: (watched) => [
      ...verify(watched),
      paragraph(
        md`It names each such repository as a warning. Whether it was never tagged or has lost its tags only the disk tells: ${brokenImage}, from "Look for more" on.`,
      ),
    ],
    mitigation: (watched) => [
      list(
        md`Never tagged: push and tag it, or remove the repository's folder while the registry is stopped.`,
        md`Lost: ${brokenImage}.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryMassLoss: {
    stopsCleanUp: true,
    meaning: md`More than half of the repositories, or of the tags, that were there are gone, and no clean-up said that it removed them. Two runs in a row have seen it.`,
    impact: md`Whoever pulls what is gone fails. What goes on writing to the disk may make the loss final.`,
    diagnosis: (watched) => [
      ...answers(watched),
      someRepositories(watched),
      ...verify(watched),
      paragraph(
        md`Registries that delete tags of themselves, or people who deleted many: nobody can tell that from a loss by the numbers. Ask before you restore.`,
      ),
    ],
    mitigation: (watched) => [
      list(
        md`A disk that is not mounted, or another registry that answers: ${link(md`RegistryCatalogEmpty`, "alerts/RegistryCatalogEmpty.md")}.`,
        ...(watched.service.role === "private"
          ? [md`Deleted within the last days and not collected yet: ${link(md`put it back`, TAG_DELETED)}.`]
          : []),
        md`Lost: ${link(md`restore the copy`, restoreTarget(watched.site))}.`,
        md`On purpose: silence the alert. It has forgotten what was there after seven days.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryIntegrityWalkIncomplete: {
    meaning: md`The probe runs, and ends before it has seen everything: at its deadline, or because something did not answer.`,
    impact: md`A part of the images is unverified. What it has found is still true.`,
    diagnosis: (watched) => [
      ...probeRuns(watched),
      list(
        md`"deadline": the registry is slow, or has grown. How long does a run take here?`,
        md`"unauthorized": the account of the probe may not read everything.`,
        md`"timeout" or "unreachable" for some: the registry, or the network between, is overloaded.`,
      ),
      ...verify(watched),
    ],
    mitigation: (watched) => [
      list(
        md`Slow: find out who loads it. Deadline and period of the probe are ${"deadlineSeconds"} and ${"periodMinutes"} in the site.`,
        md`Account: ${link(md`Credentials and certificates`, ROTATION)}.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryIntegrityProbeStale: {
    meaning: md`The probe has not reported for several of its periods.`,
    impact: md`Nothing is known to be wrong with the registry, and nobody would know.`,
    diagnosis: (watched) => [
      ...probeRuns(watched),
      ...(isClusterProbe(probeOf(watched)) && hasCluster(watched.site)
        ? [
            list(
              md`No pod for a while: the CronJob is suspended, or the cluster starts nothing.`,
              md`Pods that fail: their last line says why, and what to do.`,
              md`Pods that wait: the node cannot pull the probe's image, or a Secret or ConfigMap is missing.`,
            ),
            inCluster(sh`${kubectl(watched.site)} get events --sort-by .lastTimestamp --field-selector type=Warning`),
          ]
        : [
            list(
              md`No timer: it was stopped, or the delivery of the registries was rolled back.`,
              md`Runs that fail: the last line says why, and what to do.`,
            ),
          ]),
      ...gateway(watched),
    ],
    mitigation: (watched) => [
      ...resume(watched.site, probeOf(watched)),
      ...deployProbe(watched.site, probeOf(watched)),
      ...verified(watched),
    ],
  },
  RegistryIntegrityProbeAbsent: {
    meaning: md`No report of the probe is stored: it has never pushed, or the Pushgateway has restarted, has forgotten it, and the probe does not run. It may have been suspended long before that: what was stored hid it.`,
    impact: md`All other alerts about this registry are silent, whatever happens to it.`,
    diagnosis: (watched) => [...gateway(watched), ...probeRuns(watched)],
    mitigation: (watched) => [
      ...resume(watched.site, probeOf(watched)),
      ...deployProbe(watched.site, probeOf(watched)),
      paragraph(
        md`It runs by itself: after a restart of the Pushgateway the next run is enough. If the runs fail: ${link(md`RegistryIntegrityProbeStale`, "alerts/RegistryIntegrityProbeStale.md")}.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryReportsAbsent: {
    meaning: md`No report about any registry is stored, neither of a probe nor of the maintenance: the Pushgateway is gone, Prometheus does not scrape it, or it has restarted and nobody reports any more.`,
    impact: md`All other alerts about the registries can only say what was known before. What was firing goes on firing.`,
    diagnosis: (watched) => [
      ...gateway(watched),
      paragraph(md`Does Prometheus scrape it? This must find 1:`),
      list(md`${'up{job="pushgateway"}'} (the job of your scrape configuration)`),
    ],
    mitigation: (watched) => [
      paragraph(md`Start the Pushgateway, or repair its scrape. The next run of each probe reports again.`),
      ...verified(watched),
    ],
  },
  RegistryIntegrityProbeDead: {
    meaning: md`Nothing has been heard of this registry for hours.`,
    impact: md`Images may be lost or damaged, and nobody would know. What was found before has not been looked at again.`,
    diagnosis: (watched) => [...gateway(watched), ...probeRuns(watched)],
    mitigation: (watched) => [
      paragraph(
        md`As for ${link(md`RegistryIntegrityProbeStale`, "alerts/RegistryIntegrityProbeStale.md")}, which this one follows; then look at the registry yourself:`,
      ),
      ...verify(watched),
      ...verified(watched),
    ],
  },
  RegistryIntegrityLabelsOverwritten: {
    meaning: md`Prometheus scrapes the Pushgateway without ${"honor_labels: true"}, and so replaces the registry's name by its own.`,
    impact: md`No other alert about this registry can fire.`,
    diagnosis: ({ site, service }) => [
      paragraph(md`In Prometheus, this must find nothing:`),
      list(
        md`${`registry_manifest_integrity_last_run_timestamp{exported_instance="${serviceInstance(site, service)}"}`}`,
      ),
    ],
    mitigation: ({ site }) => [
      steps(
        md`Set ${"honor_labels: true"} in the scrape of ${pushgatewayUrl(site)}: in the scrape configuration, or as ${"honorLabels: true"} in its ServiceMonitor.`,
        md`Reload Prometheus.`,
        md`Verify: the query above finds nothing after two scrapes.`,
      ),
    ],
  },
  RegistryIntegrityPushFailed: {
    meaning: md`The Pushgateway took notice of the last report and refused it.`,
    impact: md`What is stored is older than it looks.`,
    diagnosis: (watched) => [
      paragraph(md`The probe prints what the Pushgateway answered:`),
      ...lastRun(watched.site, probeOf(watched)),
    ],
    mitigation: (watched) => [
      list(
        md`A type that differs from an earlier report: delete the group in the Pushgateway's own page, and run the probe again.`,
        md`Anything else: restart the Pushgateway. It forgets everything, and the next run reports again.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryIntegrityProbeSlow: {
    meaning: md`A run takes more than half of its period.`,
    impact: md`The probe is a guest: now it takes a good part of what the registry can do, and soon it will not be done before the next run is due.`,
    diagnosis: (watched) => [
      ...verify(watched),
      list(
        md`Many requests for few images: the same layers in many repositories are asked for in each.`,
        md`Few requests in a long time: the registry is slow. A costly bcrypt hash of the probe's account limits it to some thirty requests a second.`,
      ),
    ],
    mitigation: (watched) => [
      steps(
        md`Give the probe an account with the lowest cost: ${link(md`Credentials and certificates`, ROTATION)}.`,
        md`Prune what nobody pulls any more.`,
        md`Give it a longer period: ${"periodMinutes"} in the site.`,
      ),
      ...verified(watched),
    ],
  },
  RegistryCertificateExpiresSoon: {
    meaning: md`The certificate that the registry serves ends in less than two weeks. It should have been renewed by now.`,
    impact: md`None yet. At its end every pull and push fails.`,
    diagnosis: endOfCertificate,
    mitigation: (watched) => [...renew(watched), ...verified(watched)],
  },
  RegistryCertificateExpiryImminent: {
    meaning: md`The certificate that the registry serves ends within three days.`,
    impact: md`At its end every pull and push fails, for every client.`,
    diagnosis: endOfCertificate,
    mitigation: (watched) => [...renew(watched), ...verified(watched)],
  },
  RegistryMaintenanceFailed: {
    meaning: md`A task of the maintenance on the registry host did not do all of its work: the label ${"task"} says which. Something was broken before it began, a step failed, or it was killed.`,
    impact: md`Nothing that is to be kept was removed: a task stops before that. The storage grows until the cause is gone. The registry is back as it was, or is put back within minutes.`,
    diagnosis: ({ site }) => [
      paragraph(md`What did it say? The meaning of each line is in ${maintenanceSection(site)}.`),
      ...journals(site),
    ],
    mitigation: ({ site }) => [
      steps(
        md`Something is not whole: ${brokenImage}. Collect no garbage by hand before that.`,
        md`A service does not come back: ${firstLook(site)}.`,
        md`Run the task that failed again. The alert ends when it has done all of its work:`,
      ),
      ...tasksNow(site),
    ],
  },
  RegistryMaintenanceStale: {
    meaning: md`A task of the maintenance has not succeeded for longer than its schedule allows, or the host reports nothing at all.`,
    impact: md`The storage grows, and nobody looks for damage on the disk. What the host last reported may still be in the Pushgateway: it says nothing about now.`,
    diagnosis: (watched) => [
      paragraph(md`Does each task have a timer that is active, and when did it last start something?`),
      timersActive(watched.site),
      listTimers(watched.site),
      paragraph(md`What did the tasks say?`),
      ...journals(watched.site),
      ...gateway(watched),
    ],
    mitigation: ({ site }) => [
      list(
        md`No timer: ${`${wardenHere.text} deliver ${registryHost(site).name} registry`} brings them.`,
        md`The reports are not taken: the host must reach ${pushgatewayUrlOnHost(site)}.`,
        md`A cache is skipped each time: its upstream does not answer, or the cache is not healthy.`,
      ),
      paragraph(md`Run the tasks now. The alert ends when they have done their work:`),
      ...tasksNow(site),
    ],
  },
  RegistryBlobsCorrupt: {
    meaning: md`The scrub has read blobs that do not hash to their name, or that the disk does not give: bit rot, a controller, a restore that was cut off.`,
    impact: md`Every pull of an image that needs one of them fails, and so do new nodes and CI. What runs goes on to run. What else lies on that disk may be no better.`,
    diagnosis: ({ site }) => [
      paragraph(md`Which blobs, and how far is the scrub?`),
      journalOf(site, "scrub"),
      paragraph(md`Does the disk fail? Errors of its own are a reason to replace it first:`),
      command(onHost(registryHost(site)), sh`journalctl --dmesg --priority warning --lines 40 --no-pager`),
      ...imagesAffected(site),
    ],
    mitigation: ({ site }) => [
      list(
        md`Another registry has the same images: ${"repair"} with ${"--from"} and ${"--hash"} replaces the bytes on the disk, ${brokenImage}.`,
        md`None has: build them again. A push alone changes nothing, because a registry keeps what it has under a digest: give the image up with ${"--discard"}, run ${"clean-up"}, then push.`,
        md`In a cache: remove the folders of the blobs that the scrub names, below ${"docker/registry/v2/blobs"}, and restart it. It fetches again what it does not have.`,
      ),
      paragraph(md`Run the scrub again. It looks at what was corrupt first, and the alert ends with what is healed:`),
      runTaskNow(site, "scrub"),
    ],
  },
  RegistryMaintenancePushFailed: {
    meaning: md`The Pushgateway refused the last report of a task of the maintenance: the label ${"task"} says which.`,
    impact: md`What is stored about the maintenance is older than it looks.`,
    diagnosis: ({ site }) => [paragraph(md`The journal says what the Pushgateway answered:`), ...journals(site)],
    mitigation: () => [
      list(
        md`A type that differs from an earlier report: delete the group in the Pushgateway's own page. The next look at the disk reports again.`,
        md`Anything else: restart the Pushgateway.`,
      ),
    ],
  },
  RegistryDiskFull: {
    meaning: md`Next to nothing of the disk with the data of the registry is free.`,
    impact: md`Pushes fail, and layers arrive truncated. Pulls go on.`,
    diagnosis: ({ site }) => measured(site),
    mitigation: ({ site }) => [...firstAid(site), ...reclaim(site)],
  },
  RegistryDiskSpaceLow: {
    meaning: md`The disk with the data of the registry is nearly full.`,
    impact: md`None yet. On a full disk every push fails, and layers arrive truncated.`,
    diagnosis: ({ site }) => measured(site),
    mitigation: ({ site }) => reclaim(site),
  },
};

/** What the blobs on the disk, all of them hashed, mean for the images. */
const imagesAffected = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  return [
    paragraph(
      md`Which images need them? This reads every byte once more, and names each image with the command that comes next:`,
    ),
    ...bringWardenToAsk(site, ...privateServices(site.registry)),
    ...privateServices(site.registry).map((service) => {
      const url = serviceUrl(site, service);
      return command(
        onHost(host),
        sh`${wardenOnStore(site, service, { network: true })} diagnose ${url} ${STORE} --hash`,
        { expected: `registry  ${url}\nstore     ${STORE}\nresult    …` },
      );
    }),
  ];
};

const restoreTarget = (site: RegistrySite): string =>
  site.registry.offsiteCopy === undefined ? runbookOf(registryHost(site)) : "runbooks/restore.md";

/**
 * What to do about an alert.
 *
 * @throws Error for an alert without a page: whoever adds an alert also writes its page here
 */
export const adviceFor = (alert: string): AlertAdvice => {
  const advice = ADVICE[alert];
  if (advice === undefined) throw new Error(`the alert ${alert} has no page; write one in handbook/alert-advice.ts`);
  return advice;
};
