import { REGISTRY_PORT } from "../hosts/registry-configuration";
import { imageReference } from "../site/image";
import { containerName, dataDirectory } from "../site/registry";
import { privateServices, type RegistrySite, registryHost, serviceUrl } from "../site/schema";
import { caFile } from "./authority";
import { type Block, command, type Document, heading, list, paragraph, steps, table } from "./document";
import { deployHosts, onHost, WORKSTATION } from "./places";
import { link, md, sh } from "./prose";
import { intact, verifyRegistry, wardenHere } from "./warden";

/** The first release of the next major version whose clean-up is safe. https://github.com/distribution/distribution/releases */
const NEXT = "3.0.0";

/** A port on loopback only, for trying the new version. */
const TRIAL_PORT = 15000;

const trial = (site: RegistrySite): Block[] =>
  privateServices(site.registry).flatMap((service) => {
    const host = registryHost(site);
    const data = dataDirectory(site.registry, service);
    const image = `${site.registry.images.registry.repository}:${NEXT}`;
    return [
      paragraph(
        md`The new version on the data of ${containerName(service)}, which it can only read, beside the old one and seen by nobody:`,
      ),
      command(
        onHost(host),
        sh`docker run --detach --rm --name registry-trial --publish ${`127.0.0.1:${TRIAL_PORT}:${REGISTRY_PORT}`} --volume ${`${data}:/var/lib/registry:ro`} ${image}`,
      ),
      // Docker accepts connections to the port before the registry in the container listens, so the first may end empty.
      command(
        onHost(host),
        sh`curl --silent --retry 30 --retry-delay 1 --retry-all-errors ${`http://127.0.0.1:${TRIAL_PORT}/v2/_catalog?n=5`}`,
        { expected: '{"repositories":[…]}' },
      ),
      command(onHost(host), sh`docker stop registry-trial`, {
        expected: "registry-trial",
      }),
    ];
  });

/** From the pinned version to the next major one, and back. */
export const upgradeRunbook = (site: RegistrySite): Document | undefined => {
  const { images, services } = site.registry;
  if (/^v?3\./.test(images.registry.tag)) return undefined;
  return {
    path: "runbooks/upgrade-registry.md",
    title: md`Runbook: upgrade the registry to version 3, and back`,
    body: [
      paragraph(
        md`Now: ${imageReference(images.registry)}, for all of ${services.map(containerName)}. They move together.`,
      ),
      table(
        [md`what changes`, md`what to do about it`],
        [
          [
            md`${"garbage-collect -m"} no longer deletes the children of tagged indexes`,
            md`nothing: it is not used here, and stays forbidden`,
          ],
          [
            md`the image reads ${"/etc/distribution/config.yml"} by default, and not the path at which ours is mounted`,
            md`nothing: the compose file names the path. With its own configuration the image **asks for no password**: the delivery checks that, and rolls back`,
          ],
          [md`lists of tags are sorted and come in pages`, md`nothing: ${"warden"} reads both`],
          [md`the layout on the disk is the same`, md`nothing: both versions read what the other wrote`],
        ],
      ),
      heading(md`Before`),
      steps(
        md`Everything verifies. An upgrade is no repair.`,
        ...(site.registry.offsiteCopy === undefined ? [] : [md`The off-site copy has run.`]),
        md`Nobody needs CI for the next ten minutes.`,
      ),
      ...privateServices(site.registry).flatMap((service) => verifyRegistry(site, service)),
      ...trial(site),
      heading(md`Upgrade`),
      steps(
        md`In the site, set ${"registry.images.registry"} to the tag ${NEXT}, without the digest of the old one.`,
        md`Read the plan: one delivery, in which the image of the ${services.length} registries changes, and nothing else.`,
        md`Deploy. Images are pulled first; a registry that is not healthy after it means that everything is put back.`,
      ),
      command(WORKSTATION, sh`npm run plan`, { expected: "…\nregistry-vm …" }),
      command(WORKSTATION, deployHosts(site)),
      heading(md`Verify`),
      ...privateServices(site.registry).map((service) =>
        command(
          WORKSTATION,
          sh`${wardenHere} verify ${serviceUrl(site, service)} --blobs hash ${caFile(site, service)}`,
          {
            expected: intact(site, service),
          },
        ),
      ),
      list(
        md`Push an image, and pull it on another machine.`,
        md`Write these documents again: this page is gone then, because there is nothing left to upgrade.`,
      ),
      heading(md`And back`),
      paragraph(
        md`Set the old tag (${images.registry.tag}) in the site, and deploy. The data need no conversion. The same in a hurry, without the site, is the rollback of ${link(md`the registry host`, `runbooks/${site.registry.host}.md#take-it-back`)}.`,
      ),
    ],
  };
};
