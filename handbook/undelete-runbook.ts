import { containerName, type PrivateService } from "../site/registry";
import { privateServices, type RegistrySite, registryHost, serviceUrl } from "../site/schema";
import { type Block, command, type Document, heading, list, paragraph } from "./document";
import { startCleanUp, stopCleanUp } from "./maintenance";
import { onHost } from "./places";
import { link, md, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";
import { bringWardenToAsk, STORE, verifyRegistry, wardenOnStore } from "./warden";

export const TAG_DELETED = "runbooks/tag-deleted.md";

const putBack = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = onHost(registryHost(site));
  const url = serviceUrl(site, service);
  const seeing = wardenOnStore(site, service, { network: true, input: true });
  const log = sh`docker logs ${containerName(service)} 2>&1`;
  const undelete = sh`${seeing} undelete ${url} --storage ${STORE} --log -`;
  return [
    heading(md`What can be put back`),
    paragraph(
      md`Every image whose manifest was deleted and of which every byte is there, with its date; its tags as far as the log of ${containerName(service)}, or the history of another tag, still tells them. This changes nothing:`,
    ),
    ...bringWardenToAsk(site, service),
    command(host, sh`${log} | ${undelete}`, {
      expected: `registry  ${url}\nstore     ${STORE}\nplan      …put back…`,
    }),
    heading(md`Put it back`),
    paragraph(md`All of it. A tag that was pushed since stays where it points:`),
    command(host, sh`${log} | ${undelete} --apply`, {
      expected: `registry  ${url}\nstore     ${STORE}\ndone      …put back…`,
    }),
    list(
      md`Only a part of it: name the repository, or the image, before ${"--storage"}.`,
      md`"no tag known": nothing tells its name. You give it, with the digest of the table: ${`${seeing.text} undelete ${url} REPOSITORY:TAG@DIGEST --storage ${STORE} --apply`}`,
      md`It is not in the table: it was collected, or a part of it was. Build it again: ${link(md`An image cannot be pulled`, REBUILD)}.`,
    ),
    heading(md`Verify`),
    ...verifyRegistry(site, service),
    paragraph(
      md`There is nothing to take back: nothing that was there has changed. What should have stayed deleted is deleted as before.`,
    ),
  ];
};

/** What to do when someone deleted a tag or an image; undefined if no registry holds images of its own. */
export const undeleteRunbook = (site: RegistrySite): Document | undefined => {
  const services = privateServices(site.registry);
  if (services.length === 0) return undefined;
  return {
    path: TAG_DELETED,
    title: md`Runbook: a tag was deleted`,
    body: [
      paragraph(
        md`Somebody, or a script, has deleted an image or a tag through the API. A client says "manifest unknown", and ${"verify"} finds nothing broken.`,
      ),
      paragraph(
        md`Where ${"warden prune"} has removed it over HTTP, the journal that it named puts it back, without any of what follows: ${"warden prune --undo JOURNAL"}.`,
      ),
      ...stopCleanUp(site),
      ...services.flatMap((service) => [
        ...(services.length === 1 ? [] : [paragraph(md`For ${containerName(service)}:`)]),
        ...putBack(site, service),
      ]),
      ...startCleanUp(site),
    ],
  };
};
