import type { BuiltImage } from "../site/ci";
import { containerName, type PrivateService } from "../site/registry";
import { privateServices, type RegistrySite, registryHost, serviceInstance, serviceUrl } from "../site/schema";
import { caFile, fetchAuthority, trustedByDocker } from "./authority";
import { type Block, command, type Document, heading, list, paragraph, steps } from "./document";
import { SYSTEMS } from "./image-push";
import { startCleanUp, stopCleanUp } from "./maintenance";
import { onHost, runbookOf, sshTo, WORKSTATION } from "./places";
import { link, md, type Prose, plain, type Shell, sh } from "./prose";
import {
  askForAccount,
  bringWarden,
  bringWardenToAsk,
  intact,
  STORE,
  WHOLE_STORE,
  wardenHere,
  wardenOnStore,
} from "./warden";

export const REBUILD = "runbooks/rebuild-image.md";

const imagesOf = ({ ci }: RegistrySite, { name }: PrivateService): BuiltImage[] =>
  (ci?.images ?? []).filter(({ service }) => service === name);

/** The image name that clients use. */
const reference = (site: RegistrySite, service: PrivateService, { repository, tags }: BuiltImage): string =>
  `${serviceInstance(site, service)}/${repository}${tags[0] === undefined ? "" : `:${tags[0]}`}`;

const diagnose = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const url = serviceUrl(site, service);
  const [image] = imagesOf(site, service);
  return [
    heading(md`Diagnose`),
    paragraph(md`The account first, in the shell in which you go on:`),
    ...fetchAuthority(site, service),
    askForAccount(WORKSTATION),
    paragraph(
      md`Is it the image? ${"warden"} asks for the index, each of its children, their configurations and every layer; a tag that answers ${200} proves nothing.`,
    ),
    command(
      WORKSTATION,
      sh`${wardenHere} verify ${image === undefined ? url : reference(site, service, image)} ${caFile(site, service)}`,
      {
        expected: intact(site, service),
      },
    ),
    paragraph(
      md`${"nothing broken"} and exit code ${0}: the registry is not the cause; look at the client, its account and its network. Otherwise it prints a table of what is broken, with the exit code ${1}:`,
    ),
    list(
      md`${"missing"}, ${"truncated"}, ${"digest-mismatch"}, ${"server-error"}: the image is damaged. Go on here.`,
      md`${"unauthorized"}: the account may not pull it. Nothing is broken.`,
      md`${"timeout"}, ${"unreachable"}: nothing is known yet. Go to ${link(md`First look`, `${runbookOf(host)}#first-look`)}.`,
    ),
    paragraph(
      md`What is on the disk? This joins what the registry answers with what is stored, and names for each finding its cause and the command that repairs it:`,
    ),
    ...bringWardenToAsk(site, service),
    command(onHost(host), sh`${wardenOnStore(site, service, { network: true })} diagnose ${url} ${STORE}`, {
      expected: `registry  ${url}\nstore     ${STORE}\nresult    nothing wrong`,
    }),
    paragraph(
      md`Read its column REMEDY, line by line; an image may be broken in several ways, and each of its tags counts, that of the commit too:`,
    ),
    list(
      md`${"relink"}, and all that ${"repair"} does by itself: ${link(md`Repair without a rebuild`, `${REBUILD}#repair-without-a-rebuild`)}.`,
      md`${"copy"}: this disk does not heal it, a registry that has the same image does: ${link(md`Copy what is lost`, `${REBUILD}#copy-what-is-lost`)}. There is none: build it again.`,
      md`${"give-up"}: nothing heals it. Build it again below, and ${link(md`give up`, `${REBUILD}#give-up-what-nobody-builds-again`)} what nobody builds again, old tags above all.`,
      md`Anything else: the command behind ${"next"} says it all.`,
    ),
  ];
};

const repair = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const url = serviceUrl(site, service);
  const here = wardenOnStore(site, service, { network: true });
  const changing = wardenOnStore(site, service, { network: true, write: true });
  const copying = wardenOnStore(site, service, { network: true, write: true, from: true });
  return [
    heading(md`Repair without a rebuild`),
    paragraph(
      md`A part that has only lost its link is still on the disk. This prints what it would put back, and changes nothing:`,
    ),
    command(onHost(host), sh`${here} repair ${url} --storage ${STORE}`, {
      expected: `registry  ${url}\nplan      …action…\nremains   …`,
    }),
    paragraph(md`If the plan is what you want:`),
    command(onHost(host), sh`${changing} repair ${url} --storage ${STORE} --apply`, {
      expected: `registry  ${url}\ndone      …action…\nremains   nothing broken…`,
    }),
    paragraph(
      md`${"nothing broken"}: go to ${link(md`Verify`, `${REBUILD}#verify`)}. Otherwise it ends with ${1}, and its second table is what is left. Deal with every line of it.`,
    ),
    heading(md`Copy what is lost`),
    paragraph(
      md`Another registry that has the same images: a mirror, the one from before a move. Lost parts are copied by their digests, and every byte is checked. Its account, if it asks for one, is ${["FROM_USER", "FROM_PASS"]} in the environment:`,
    ),
    command(onHost(host), sh`read -rp 'other registry: ' from`),
    command(onHost(host), sh`${copying} repair ${url} --storage ${STORE} --from "$from" --apply`, {
      expected: `registry  ${url}\ndone      …action…\nremains   nothing broken…`,
    }),
  ];
};

/** Whatever is lost for good blocks the maintenance, which does not change a damaged store. */
const giveUp = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const url = serviceUrl(site, service);
  const changing = wardenOnStore(site, service, { network: true, write: true });
  return [
    heading(md`Give up what nobody builds again`),
    paragraph(
      md`What is broken and stays so keeps the maintenance from its work for good. Do this after a rebuild, so that a tag that was built again is left alone. Say one name as a table prints it, ${"team/app:1.0 (+1)"} for one; it goes with every tag that points at the same image. Its links go to a journal, and the command that puts them back is printed:`,
    ),
    command(onHost(host), sh`read -rp 'name: ' name`),
    command(onHost(host), sh`${changing} repair ${url} --storage ${STORE} --discard "$name" --apply`, {
      expected: `registry  ${url}\ndone      …action…\nremains   …`,
    }),
    paragraph(md`Again with the next name, until it ends with ${"nothing broken"}.`),
  ];
};

const startByHand = ({ ci }: RegistrySite, { branch, dockerfile }: BuiltImage): Prose[] => {
  if (ci === undefined) return [];
  const { title, byHand } = SYSTEMS[ci.system];
  return [
    md`In ${plain(title)}, open the repository that holds ${dockerfile}, and there "${plain(byHand)}".`,
    md`Choose the branch ${branch}.${ci.system === "woodpecker" ? md` The event is then ${"manual"}.` : md``}`,
  ];
};

const throughCi = (site: RegistrySite, service: PrivateService, image: BuiltImage): Block[] => [
  heading(md`Rebuild ${image.repository} through CI`),
  paragraph(
    md`Every push to ${image.branch} that changes ${image.dockerfile} builds it, and so does a pipeline that is started by hand:`,
  ),
  steps(
    ...startByHand(site, image),
    md`Wait for its last step. It verifies the index, the children, the configurations and every layer, and fails when one cannot be fetched.`,
  ),
  paragraph(
    md`It pushes ${[...image.tags.map((tag) => `${image.repository}:${tag}`)]} and a tag of the commit's first ${image.commitCharacters} characters, with the secrets ${Object.values(site.ci?.secrets ?? {})}.`,
  ),
  heading(md`Rebuild ${image.repository} when CI is down`),
  paragraph(
    md`If CI runs in that very image, it is down for the same reason. Then build on the ${link(md`registry host`, runbookOf(registryHost(site)))}. In a checkout of the repository that holds ${image.dockerfile}:`,
  ),
  command(
    WORKSTATION,
    sh`git archive ${image.branch} | ${sshTo(registryHost(site))} ${"rm -rf /root/rebuild && mkdir /root/rebuild && tar -x -C /root/rebuild"} && git rev-parse ${`--short=${image.commitCharacters}`} ${image.branch}`,
  ),
  paragraph(md`It prints the commit. On the host, say it once, build, and push every tag:`),
  command(onHost(registryHost(site)), sh`read -rp 'commit: ' commit`),
  command(
    onHost(registryHost(site)),
    sh`docker build --file ${`/root/rebuild/${image.dockerfile}`} ${tagOptions(site, service, image)} /root/rebuild`,
  ),
  ...trustedByDocker(site, service),
  command(onHost(registryHost(site)), sh`docker login ${serviceInstance(site, service)}`, {
    expected: "…Login Succeeded",
  }),
  command(onHost(registryHost(site)), pushTags(site, service, image)),
];

const tagOptions = (site: RegistrySite, service: PrivateService, { repository, tags }: BuiltImage) => {
  const name = `${serviceInstance(site, service)}/${repository}`;
  return [...tags.map((tag) => sh`--tag ${`${name}:${tag}`}`), sh`--tag ${name}:"$commit"`];
};

const pushTags = (site: RegistrySite, service: PrivateService, { repository, tags }: BuiltImage): Shell => {
  const name = `${serviceInstance(site, service)}/${repository}`;
  return tags.reduce<Shell>(
    (before, tag) => sh`${before} && docker push ${`${name}:${tag}`}`,
    sh`docker push ${name}:"$commit"`,
  );
};

const verify = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const url = serviceUrl(site, service);
  const images = imagesOf(site, service);
  return [
    heading(md`Verify`),
    ...images.map((image) =>
      command(
        WORKSTATION,
        sh`${wardenHere} verify ${reference(site, service, image)} --blobs hash ${caFile(site, service)}`,
        {
          expected: intact(site, service),
        },
      ),
    ),
    paragraph(md`What broke one image may have broken others, so look at everything that is served:`),
    command(WORKSTATION, sh`${wardenHere} verify ${url} ${caFile(site, service)}`, {
      expected: intact(site, service),
    }),
    heading(md`Look for more`),
    paragraph(md`The disk shows what the registry does not list any more:`),
    bringWarden(site),
    paragraph(
      md`What was collected or given up leaves links to layers that are gone. They harm nobody. This lists them, removes them, and nothing else:`,
    ),
    command(onHost(host), sh`${wardenOnStore(site, service, { write: true })} scan ${STORE} --fix-layer-links || true`),
    command(onHost(host), sh`${wardenOnStore(site, service)} scan ${STORE}`, { expected: WHOLE_STORE }),
    paragraph(
      md`Then find the cause: what deletes in ${containerName(service)}? A person with an account that may delete, or a job that is not ${"warden prune"}.`,
    ),
    heading(md`Take it back`),
    paragraph(
      md`A rebuild and a repair only add; there is nothing to undo.${images.length === 0 ? md`` : md` To go back to the build before, push its commit's tag again under the moving tag:`}`,
    ),
    ...images
      .filter(({ tags }) => tags.length > 0)
      .flatMap((image) => {
        const name = `${serviceInstance(site, service)}/${image.repository}`;
        return [
          command(onHost(host), sh`read -rp 'commit of the build before: ' commit`),
          command(
            onHost(host),
            sh`docker pull ${name}:"$commit" && docker tag ${name}:"$commit" ${reference(site, service, image)} && docker push ${reference(site, service, image)}`,
          ),
        ];
      }),
  ];
};

/** What to do when an image cannot be pulled; undefined if no registry holds images of its own. */
export const rebuildRunbook = (site: RegistrySite): Document | undefined => {
  const services = privateServices(site.registry);
  if (services.length === 0) return undefined;
  return {
    path: REBUILD,
    title: md`Runbook: an image cannot be pulled`,
    body: [
      paragraph(
        md`A client says "manifest unknown", "image can't be pulled" or "blob unknown", and the tag exists. ${link(md`The incident of 2026-04-19`, "post-mortems/2026-04-19-index-without-children.md")} is how that came about once.`,
      ),
      ...stopCleanUp(site),
      ...services.flatMap((service) => [
        ...(services.length === 1 ? [] : [paragraph(md`For ${containerName(service)}:`)]),
        ...diagnose(site, service),
        ...repair(site, service),
        ...imagesOf(site, service).flatMap((image) => throughCi(site, service, image)),
        ...giveUp(site, service),
        ...verify(site, service),
      ]),
      ...startCleanUp(site),
    ],
  };
};
