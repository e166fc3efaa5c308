import { containerName, dataDirectory, type PrivateService } from "../site/registry";
import { hostProbes, privateServices, type RegistrySite, registryHost } from "../site/schema";
import { ROTATION } from "./certificate";
import { type Block, command, type Document, heading, list, paragraph, steps, table } from "./document";
import { compose, onHost, WORKSTATION } from "./places";
import { link, md, type Prose, plain, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";
import { bringWarden, STORE, verifyRegistry, WHOLE_STORE, wardenHere, wardenOnStore } from "./warden";

const restoreHeading = (service: PrivateService): Prose => md`Restore ${containerName(service)}`;

/** What is in no copy of the data and in no repository: the operator has it, and installs it. */
const broughtByOperator = (site: RegistrySite): Block => {
  const { services, maintenance } = site.registry;
  const builders = Object.values(site.ci?.secrets ?? {});
  const probes = hostProbes(site);
  return table(
    [md`file`, md`what it is`, md`who uses it`],
    [
      ...privateServices(site.registry).flatMap((service) => [
        [
          md`${service.htpasswd}`,
          md`the accounts of ${containerName(service)}, mode ${"0600"}`,
          md`everybody who pulls or pushes; CI${builders.length === 0 ? md`` : md` (${builders})`}, the probe and the maintenance, each with an account of its own`,
        ],
        [md`${service.tls.certificate}`, md`its certificate with its chain`, md`the reverse proxy`],
        [md`${service.tls.key}`, md`the key of the certificate, mode ${"0600"}`, md`the reverse proxy`],
      ]),
      ...services.flatMap((service) =>
        service.role === "proxy" && service.credentialsFile !== undefined
          ? [
              [
                md`${service.credentialsFile}`,
                md`an env file, mode ${"0600"}`,
                md`${containerName(service)}, at its upstream`,
              ],
            ]
          : [],
      ),
      ...(maintenance === undefined
        ? []
        : [
            [
              md`${maintenance.credentialsFile}`,
              md`an env file, mode ${"0600"}`,
              md`the maintenance, with an account that may push`,
            ],
          ]),
      ...probes.flatMap(({ name, credentials }) =>
        credentials === undefined
          ? []
          : [[md`${credentials.file}`, md`an env file, mode ${"0600"}`, md`the probe ${name}`]],
      ),
    ],
  );
};

/** Setting up a reinstalled host, before its data is restored. */
const newHost = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  return [
    heading(md`A new host`),
    steps(
      md`Install it with the address ${host.address}, SSH for ${host.ssh.user}, Docker 25 or newer and its compose plugin.${host.ssh.hostKey === undefined ? md`` : md` Put its new key into ${"ssh.hostKey"} of the site: ${link(md`the key of a host`, `${ROTATION}#the-key-with-which-you-deploy`)}.`}`,
      md`Bring what is in no repository: the files below. ${link(md`Credentials and certificates`, ROTATION)} says how each is made if it is lost.`,
    ),
    broughtByOperator(site),
    paragraph(
      md`Is all of it there? This asks the host, names every file that is missing or will not do as ${"operator's file"}, and changes nothing. What the delivery itself brings is still absent. When no ${"operator's file"} is named any more, go on:`,
    ),
    command(WORKSTATION, sh`${wardenHere} deliver ${host.name} --dry-run`, { expected: "site: …" }),
    paragraph(md`Deliver. Terraform would say "no changes": it compares with the host that is gone.`),
    command(WORKSTATION, sh`${wardenHere} deliver ${host.name}`, { expected: "…is delivered…" }),
  ];
};

const restore = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const data = dataDirectory(site.registry, service);
  const beside = `${data}.before-restore`;
  return [
    heading(restoreHeading(service)),
    paragraph(
      md`Stop it: nobody may push while files are put back. The reverse proxy answers ${502} or ${504} meanwhile, the other services go on.`,
    ),
    command(onHost(host), sh`${compose(site)} stop ${containerName(service)}`),
    paragraph(md`Keep what is there. It may hold parts that the copy lacks:`),
    command(onHost(host), sh`mv ${data} ${beside} && mkdir -m 0755 ${data}`),
    paragraph(md`Put the copy back. Say where it is mounted, up to and with the directory that holds ${"docker"}:`),
    command(onHost(host), sh`read -rp 'copy: ' copy`),
    command(onHost(host), sh`cp --archive "$copy"/. ${data}`),
    command(onHost(host), sh`ls ${`${data}/docker/registry/v2`}`, { expected: "blobs\nrepositories" }),
    paragraph(md`Check it before anything is served from it:`),
    bringWarden(site),
    command(onHost(host), sh`${wardenOnStore(site, service)} scan ${STORE}`, { expected: WHOLE_STORE }),
    command(onHost(host), sh`${compose(site)} start ${containerName(service)}`),
    heading(md`Verify`),
    ...verifyRegistry(site, service),
    paragraph(
      md`Images that were pushed while the copy was made may be incomplete in it. For those: ${link(md`An image cannot be pulled`, REBUILD)}. The store from before is a source for them too: what is still whole there can be copied.`,
    ),
    heading(md`Take it back`),
    command(
      onHost(host),
      sh`${compose(site)} stop ${containerName(service)} && mv ${data} ${`${data}.restored`} && mv ${beside} ${data} && ${compose(site)} start ${containerName(service)}`,
    ),
  ];
};

/** Restoring the data of the registries; undefined if there is no copy, or nothing that exists only here. */
export const restoreRunbook = (site: RegistrySite): Document | undefined => {
  const { offsiteCopy: copy } = site.registry;
  const services = privateServices(site.registry);
  if (copy === undefined || services.length === 0) return undefined;
  return {
    path: "runbooks/restore.md",
    title: md`Runbook: restore from the off-site copy`,
    body: [
      paragraph(
        md`The copy on ${plain(copy.title)} is at most ${copy.maximumAgeHours} hours old. What was pushed after it is lost: build it again, or push it again.`,
      ),
      list(
        md`Restore only what is gone. Single broken images are repaired: ${link(md`An image cannot be pulled`, REBUILD)}.`,
        md`Caches are not restored. They fill by themselves.`,
        md`If the whole host is gone, begin with ${link(md`a new host`, "runbooks/restore.md#a-new-host")}. If only data are gone, begin with ${services.map((service) => link(restoreHeading(service), `runbooks/restore.md#restore-${containerName(service)}`))}.`,
      ),
      ...newHost(site),
      ...services.flatMap((service) => restore(site, service)),
      heading(md`Times of the tags`),
      paragraph(
        md`When a tag was pushed is read from the modification time of its link. ${"cp --archive"} and ${"rsync --archive"} keep it. After a copy by other means the times are those of the copy: they lie close together, in the order of the copy, and say nothing of pushes. ${"warden prune"} recognizes that, says so in its plan (${"times"}), and removes nothing by such times; what is pushed after the copy counts as newer than all of it.`,
      ),
      steps(
        md`Look: are the times spread over the past?`,
        md`If they are those of the copy, let the images' own dates decide: ${`warden prune STORE --policy FILE --order created`}, or ${'order: "created"'} in the rules of the site's retention. Read the plan first: images without a date stay.`,
      ),
      ...services.map((service) =>
        command(
          onHost(registryHost(site)),
          sh`find ${`${dataDirectory(site.registry, service)}/docker/registry/v2/repositories`} -path ${"*/_manifests/tags/*/current/link"} -printf ${"%TY-%Tm-%Td\\n"} | sort | uniq -c`,
        ),
      ),
    ],
  };
};
