import { containerName, dataDirectory, type PrivateService } from "../site/registry";
import { privateServices, type RegistrySite, registryHost } from "../site/schema";
import { type Block, command, type Document, heading, list, paragraph, steps } from "./document";
import { runbookOf } from "./host-runbook";
import { compose, onHost } from "./places";
import { link, md, plain, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";
import { bringWarden, STORE, verifyRegistry, WHOLE_STORE, wardenOnStore } from "./warden";

const restore = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const data = dataDirectory(site.registry, service);
  const beside = `${data}.before-restore`;
  return [
    heading(md`Restore ${containerName(service)}`),
    paragraph(
      md`Stop it: nobody may push while files are put back. The front answers ${502} meanwhile, the other services go on.`,
    ),
    command(onHost(host), sh`${compose(site)} stop ${containerName(service)}`),
    paragraph(md`Keep what is there. It may hold parts that the copy lacks:`),
    command(onHost(host), sh`mv ${data} ${beside} && mkdir -m 0755 ${data}`),
    paragraph(md`Put the copy back. Say where it is mounted, up to and with the directory that holds ${"docker"}:`),
    command(onHost(host), sh`read -rp 'copy: ' copy`),
    command(onHost(host), sh`cp --archive "$copy"/. ${data}`),
    command(onHost(host), sh`ls ${`${data}/docker/registry/v2`}`, { expected: "blobs\nrepositories" }),
    paragraph(md`Look at it before anybody is served from it:`),
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

/** Restoring the data of the registries; undefined where there is no copy, or nothing that exists nowhere else. */
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
        md`If the whole host is gone: install it, then ${link(md`deploy`, `${runbookOf(registryHost(site))}#change-it`)}, then restore.`,
      ),
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
