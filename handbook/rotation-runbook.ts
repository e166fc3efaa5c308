import { NGINX } from "../hosts/compose";
import { unitOf } from "../hosts/systemd-unit";
import { IN_USE_REPOSITORY } from "../registry/in-use/report";
import { cleanUpName, type Probe } from "../site/monitoring";
import { pushSecret } from "../site/probe-walk";
import { containerName, PROBE_ACCOUNT, type PrivateService, type ProxyService } from "../site/registry";
import {
  type ClusterSite,
  cleanUps,
  hasCluster,
  hasRegistry,
  isExternal,
  managedHosts,
  mustReport,
  privateServices,
  probedService,
  type RegistrySite,
  registryHost,
  type Site,
  serviceInstance,
  serviceUrl,
} from "../site/schema";
import { caFile, fetchAuthority } from "./authority";
import { certificateHeading, ROTATION, servedCertificate } from "./certificate";
import { CLEAN_UP } from "./clean-up-runbook";
import { deployMonitoring, inCluster, kubectl } from "./cluster";
import { type Block, command, type Document, heading, list, type Place, paragraph, steps } from "./document";
import { SYSTEMS } from "./image-push";
import { compose, onHost, WORKSTATION } from "./places";
import { runNow } from "./probe-runs";
import { link, md, plain, sh } from "./prose";
import { TAG_DELETED } from "./undelete-runbook";
import { askForAccount, intact, wardenHere } from "./warden";

const passwords = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const url = serviceUrl(site, service);
  return [
    heading(md`An account of ${containerName(service)}`),
    paragraph(
      md`The accounts are the lines of ${service.htpasswd} on the ${plain(host.title)}, one a line, with a bcrypt hash. The registry computes that hash on every request, so the probe has an account of its own with a long random password and the lowest cost.`,
    ),
    paragraph(
      md`Say whose, and make the new line. It asks for the password; with ${"--probe"} instead of a name it makes the probe's account, and puts the password into a file for the cluster:`,
    ),
    command(WORKSTATION, sh`read -rp 'account: ' account && ${wardenHere} htpasswd "$account"`),
    paragraph(
      md`Keep the file as it was, and replace that account's line in it. Write into the same file, not beside it:`,
    ),
    command(onHost(host), sh`cp -p ${service.htpasswd} ${`${service.htpasswd}.before`}`),
    command(onHost(host), sh`read -rp 'account: ' account && read -rp 'new line: ' line`),
    command(
      onHost(host),
      sh`{ grep -v "^$account:" ${`${service.htpasswd}.before`}; printf '%s\\n' "$line"; } > ${service.htpasswd}`,
    ),
    command(onHost(host), sh`${compose(site)} restart ${containerName(service)}`),
    paragraph(md`Verify with the new password:`),
    ...fetchAuthority(site, service),
    askForAccount(WORKSTATION),
    command(WORKSTATION, sh`${wardenHere} verify ${url} --newest 1 ${caFile(site, service)}`, {
      expected: intact(site, service),
    }),
    paragraph(
      md`Then the same with the old one, which has to be refused: ${"401"}, and not one line of what is expected above.`,
    ),
    paragraph(md`To take it back:`),
    command(
      onHost(host),
      sh`cat ${`${service.htpasswd}.before`} > ${service.htpasswd} && ${compose(site)} restart ${containerName(service)}`,
    ),
    paragraph(md`When all is well, remove the old hashes:`),
    command(onHost(host), sh`rm ${`${service.htpasswd}.before`}`),
    ...(site.ci?.images.some((image) => image.service === service.name)
      ? [
          paragraph(
            md`If it was the account of CI, give its new password to CI too: the secrets ${Object.values(site.ci.secrets)} in ${plain(SYSTEMS[site.ci.system].title)}.`,
          ),
        ]
      : []),
  ];
};

/** Prompts for an account, and writes the Secret from which a probe reads it. */
const writeSecret = (site: ClusterSite, secret: string, done: "configured" | "…"): Block[] => [
  askForAccount(WORKSTATION),
  inCluster(
    sh`printf 'REG_USER=%s\\nREG_PASS=%s\\n' "$REG_USER" "$REG_PASS" | ${kubectl(site)} create secret generic ${secret} --from-env-file /dev/stdin --dry-run=client --output yaml | ${kubectl(site)} apply --filename -`,
    `secret/${secret} ${done}`,
  ),
];

/** What someone may have done with a leaked password: every account in an htpasswd file can do everything. */
const leaked = (site: RegistrySite): Block[] => [
  heading(md`A password leaked`),
  paragraph(
    md`Whoever has the password of an account can **pull, push and delete** everything in that registry: an htpasswd file knows no rights. ${PROBE_ACCOUNT} alone can only pull, because the reverse proxy refuses everything else with ${403}; whoever reaches the registry past the reverse proxy is refused nothing. First give the account a new password, as below: the old one is refused from then on. Then see what it was used for, as far back as the log of the reverse proxy goes. Which account, and what did it change?`,
  ),
  command(onHost(registryHost(site)), sh`read -rp 'account: ' account`),
  command(
    onHost(registryHost(site)),
    sh`${compose(site)} logs --no-log-prefix ${NGINX} | grep -F -- " $account [" | grep -E ${'"(PUT|PATCH|POST|DELETE) '} || echo 'it changed nothing'`,
  ),
  list(
    md`Addresses that are not yours are the leak, the others are CI and the maintenance. ${"PUT …/manifests/TAG"} is a push: what is under that tag now is not to be trusted. Push it again from where it was built.`,
    md`${"DELETE"}: ${link(md`A tag was deleted`, TAG_DELETED)} puts it back, until the next clean-up.`,
    md`Whatever else reads that password: each section below names where it is kept.`,
  ),
];

/** Installs new credentials where a probe reads them. */
const probeCredentials = (site: Site, probe: Probe): Block[] => {
  const { credentials } = probe;
  if (credentials?.from === "existing-secret" && hasCluster(site))
    return [
      paragraph(md`Then put both into the Secret ${credentials.secret}:`),
      ...writeSecret(site, credentials.secret, "configured"),
    ];
  if (credentials?.from === "file" && hasRegistry(site))
    return [
      paragraph(
        md`Then put both into ${credentials.file}, in single quotes, because compose replaces a dollar otherwise. The next run reads it:`,
      ),
      ...writeAccountFile(onHost(registryHost(site)), credentials.file),
    ];
  return [
    paragraph(
      md`Then raise ${"credentials.revision"} of the probe in the site, set the variables that ${"npm run plan"} names, and deploy. They are in no plan and in no state:`,
    ),
    deployMonitoring,
  ];
};

/** Workloads are reported with an account that may push: the probe's own account should not. */
const pushAccount = (site: Site, probe: Probe): Block[] => {
  const { credentials, workloads } = probe;
  if (!workloads || credentials?.from !== "existing-secret" || !hasCluster(site)) return [];
  return [
    paragraph(
      md`What runs is reported in the registry with an account that may push to ${IN_USE_REPOSITORY}, which ${PROBE_ACCOUNT} may not, from a Secret of its own. ${mustReport(site, probe) ? md`Without it the clean-up refuses to remove anything:` : md`Without it nothing is reported, and a clean-up cannot know what runs:`}`,
    ),
    ...writeSecret(site, pushSecret(credentials), "…"),
  ];
};

const probeAccount = (site: Site): Block[] =>
  (site.monitoring?.probes ?? []).flatMap((probe): Block[] => {
    if (probe.credentials === undefined) return [];
    return [
      heading(md`The account of ${probe.name}`),
      paragraph(
        md`First give it a new password at ${serviceInstance(site, probedService(site, probe))}${isExternal(probedService(site, probe)) ? md`` : md`, as above`}. Until the probe has it too, the probe is refused, which is an alert after two runs.`,
      ),
      ...probeCredentials(site, probe),
      ...pushAccount(site, probe),
      paragraph(md`Verify with a run now:`),
      ...runNow(site, probe),
    ];
  });

const cleanUpAccount = (site: Site): Block[] => {
  if (!hasCluster(site)) return [];
  return cleanUps(site).flatMap(({ service, cleanUp: { credentials } }): Block[] => [
    heading(md`The account of ${cleanUpName(service)}`),
    paragraph(
      md`It may push to ${serviceInstance(site, service)} and delete there. On Gitea and Forgejo give it a token with ${"read:package"} and ${"write:package"}. First renew it there.`,
    ),
    ...(credentials.from === "existing-secret"
      ? [
          paragraph(md`Then put both into the Secret ${credentials.secret}:`),
          ...writeSecret(site, credentials.secret, "…"),
        ]
      : [
          paragraph(
            md`Then raise ${"cleanUp.credentials.revision"} of the registry in the site, set the variables that ${"npm run plan"} names, and deploy. They are in no plan and in no state:`,
          ),
          deployMonitoring,
        ]),
    paragraph(md`Verify with a run now, as in ${link(md`its runbook`, CLEAN_UP)}.`),
  ]);
};

/** Prompts for an account, and writes the env file from which compose reads it. */
const writeAccountFile = (place: Place, file: string): Block[] => [
  askForAccount(place),
  command(
    place,
    sh`printf "REG_USER='%s'\\nREG_PASS='%s'\\n" "\${REG_USER//\\'/\\\\\\'}" "\${REG_PASS//\\'/\\\\\\'}" | install -m 0600 /dev/stdin ${file}`,
  ),
];

const maintenanceAccount = (site: RegistrySite): Block[] => {
  const { maintenance } = site.registry;
  if (maintenance === undefined) return [];
  const host = registryHost(site);
  const file = maintenance.credentialsFile;
  return [
    heading(md`The account of the maintenance`),
    paragraph(
      md`It is in ${file}, mode ${"0600"}, as ${["REG_USER", "REG_PASS"]}, and has to be allowed to push: whether a registry is read-only shows when it refuses an upload. First give it a new password, as above; then write both, in single quotes, because compose replaces a dollar otherwise:`,
    ),
    ...writeAccountFile(onHost(host), file),
    ...(maintenance.cleanUp === undefined
      ? []
      : [
          paragraph(md`Verify with a clean-up now, which asks the registry with it:`),
          command(onHost(host), sh`systemctl start ${`${unitOf("clean-up")}.service`}`),
        ]),
  ];
};

const upstream = (site: RegistrySite, service: ProxyService): Block[] => {
  const { credentialsFile: file } = service;
  if (file === undefined) return [];
  const host = registryHost(site);
  return [
    heading(md`The account of ${containerName(service)} at its upstream`),
    paragraph(
      md`It is in ${file}, mode ${"0600"}, as ${["REGISTRY_PROXY_USERNAME", "REGISTRY_PROXY_PASSWORD"]}, each value in single quotes, because compose replaces a dollar otherwise. Edit it, and make the container again: it reads the file only then.`,
    ),
    command(onHost(host), sh`stat --format %a ${file}`, { expected: "600" }),
    command(onHost(host), sh`${compose(site)} up --wait --force-recreate ${containerName(service)}`),
    paragraph(md`Verify: it answers, and an image that it does not have yet can be pulled through it.`),
    command(
      WORKSTATION,
      sh`curl --silent --output /dev/null --write-out ${"%{http_code}\\n"} ${`${serviceUrl(site, service)}/v2/`}`,
      {
        expected: "200",
      },
    ),
  ];
};

const certificate = (site: RegistrySite, service: PrivateService): Block[] => {
  const host = registryHost(site);
  const { certificate: file, key } = service.tls;
  return [
    heading(certificateHeading(site, service)),
    paragraph(
      md`nginx reads ${file} and ${key} with each new connection. A broken one fails this port alone, and nothing has to be restarted. When does the one that is served end? One that has ended is why clients say ${"certificate has expired"}:`,
    ),
    servedCertificate(site, service),
    paragraph(
      md`Put the new ones beside the old, as ${`${file}.new`} and ${`${key}.new`}, the certificate with its chain. Check the pair before it is used: its name, its end, and that both belong together:`,
    ),
    // With -checkend, openssl checks nothing else, and its exit code does not cover the name.
    command(
      onHost(host),
      sh`chown root ${`${file}.new`} ${`${key}.new`} && chmod 600 ${`${key}.new`} && openssl x509 -noout -enddate -checkend 86400 -in ${`${file}.new`} && openssl x509 -noout -checkhost ${service.serverName} -in ${`${file}.new`} | grep 'does match'`,
      { expected: `notAfter=…\nCertificate will not expire\nHostname ${service.serverName} does match certificate` },
    ),
    command(
      onHost(host),
      sh`openssl x509 -noout -pubkey -in ${`${file}.new`} | cmp - <(openssl pkey -pubout -in ${`${key}.new`}) && echo 'certificate and key belong together'`,
      { expected: "certificate and key belong together" },
    ),
    paragraph(
      md`Keep the old pair, then write the new one over it. The container sees the files themselves, so they are written to, never renamed over:`,
    ),
    command(
      onHost(host),
      sh`cp -p ${file} ${`${file}.old`} && cp -p ${key} ${`${key}.old`} && cat ${`${key}.new`} > ${key} && cat ${`${file}.new`} > ${file} && rm ${`${file}.new`} ${`${key}.new`}`,
    ),
    paragraph(
      md`Verify with the first command: the end is the new one. Whatever renews certificates by itself has to write them in the same way, or restart the container, which then sees the new files: ${"cp"} writes, ${"mv"} and ${"install"} put another file in the place. To take it back, write the old pair over the new one:`,
    ),
    command(onHost(host), sh`cat ${`${key}.old`} > ${key} && cat ${`${file}.old`} > ${file}`),
  ];
};

const deployKey = (): Block[] => [
  heading(md`The key with which you deploy`),
  steps(
    md`Put the new public key on each host, beside the old one.`,
    md`Deploy with the new key. A deploy that cannot connect changes nothing.`,
    md`Take the old one off the hosts.`,
  ),
  list(
    md`If a host got a new key of its own, read it with ${"ssh-keyscan -t ecdsa"} over a way that you trust, and put it into ${"ssh.hostKey"} of the host. Terraform compares no other kind.`,
    md`Verify with ${"npm run -s warden -- drift"}: it logs in to each host and only reads. To take it back, put the old public key there again.`,
  ),
];

/** Passwords, keys and certificates, one section each; undefined if the site has none. */
export const rotationRunbook = (site: Site): Document | undefined => {
  const ofRegistry = (blocks: (given: RegistrySite) => Block[]): Block[] => (hasRegistry(site) ? blocks(site) : []);
  const sections = [
    ...ofRegistry((given) => (privateServices(given.registry).length === 0 ? [] : leaked(given))),
    ...ofRegistry((given) => privateServices(given.registry).flatMap((service) => passwords(given, service))),
    ...probeAccount(site),
    ...cleanUpAccount(site),
    ...ofRegistry(maintenanceAccount),
    ...ofRegistry((given) =>
      given.registry.services.flatMap((service) => (service.role === "proxy" ? upstream(given, service) : [])),
    ),
    ...ofRegistry((given) => privateServices(given.registry).flatMap((service) => certificate(given, service))),
    ...(managedHosts(site).length === 0 ? [] : deployKey()),
  ];
  if (sections.length === 0) return undefined;
  return {
    path: ROTATION,
    title: md`Runbook: credentials and certificates`,
    body: [
      paragraph(
        md`None of them is in this repository, in a plan or in a state. Each is a file of yours on a host, or a Secret.`,
      ),
      ...sections,
    ],
  };
};
