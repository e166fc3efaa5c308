import { containerName, dataDirectory } from "../site/registry";
import { privateServices, type RegistrySite, registryHost } from "../site/schema";
import { type Block, command, paragraph } from "./document";
import { onHost } from "./places";
import { md, sh } from "./prose";

/** The disk with the data, and what takes up its space. */
export const measured = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  const data = site.registry.services.map((service) => dataDirectory(site.registry, service));
  return [
    command(onHost(host), sh`df -h ${data}`),
    command(onHost(host), sh`du -sh ${data}`, { expected: data.map((directory) => `…${directory}`).join("\n") }),
  ];
};

/** What can be deleted immediately, least important first. A full disk breaks pushes, but not pulls. */
export const firstAid = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  const data = site.registry.services.map((service) => dataDirectory(site.registry, service));
  const cache = site.registry.services.find(({ role }) => role === "proxy");
  return [
    paragraph(md`First aid, the least harm first. Is there enough after a step? Then stop.`),
    paragraph(
      md`Uploads that nobody finished, of more than a day ago. A registry removes them by itself after a week; an active client never takes that long:`,
    ),
    command(
      onHost(host),
      sh`find ${data} -type d -path ${"*/_uploads/*"} -prune -mmin +1440 -exec rm -r -- {} + -printf ${"removed %p\\n"}`,
    ),
    paragraph(
      md`Layers of images that have no name any more. What has a name stays: the maintenance and a rollback start from it:`,
    ),
    command(onHost(host), sh`docker system df && docker image prune --force`, {
      expected: "TYPE…\n…",
    }),
    paragraph(
      md`What other programs left on the same disk: the journal, and the backups of deliveries but the newest ones. They are small, and each is a way back:`,
    ),
    command(onHost(host), sh`journalctl --vacuum-time=14d && du -sh /root/*-backups`),
    ...(cache === undefined
      ? []
      : [
          paragraph(
            md`A cache. It fills again as images are pulled, so this costs time and the limits of its upstream, and no image:`,
          ),
          command(
            onHost(host),
            sh`docker stop ${containerName(cache)} && rm -rf ${`${dataDirectory(site.registry, cache)}/docker`} && docker start ${containerName(cache)}`,
          ),
        ]),
    ...privateServices(site.registry).map((service) =>
      paragraph(
        site.registry.maintenance?.cleanUp === undefined
          ? md`${containerName(service)} is never emptied by hand.`
          : md`${containerName(service)} is never emptied by hand. Its clean-up frees space by the policy of the site. 16 MiB are kept for it in ${`${dataDirectory(site.registry, service)}/.registry-warden-reserve`}, which it gives up when it begins.`,
      ),
    ),
  ];
};
