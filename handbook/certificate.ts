import { NGINX } from "../hosts/compose";
import type { PrivateService } from "../site/registry";
import { type RegistrySite, registryHost, serviceInstance } from "../site/schema";
import { type Block, command, paragraph } from "./document";
import { compose, onHost, WORKSTATION } from "./places";
import { md, type Prose, sh } from "./prose";

export const ROTATION = "runbooks/rotate-credentials.md";

/** The heading of the section on renewing a certificate. */
export const certificateHeading = (site: RegistrySite, service: PrivateService): Prose =>
  md`The certificate of ${serviceInstance(site, service)}`;

/** The link target of that section. */
export const certificateSection = (site: RegistrySite, service: PrivateService): string =>
  `${ROTATION}#the-certificate-of-${serviceInstance(site, service).replace(/[^a-z0-9-]/g, "")}`;

/** Prints how long the served certificate is valid; for an expired one the output differs from the expected one. */
export const servedCertificate = (site: RegistrySite, service: PrivateService): Block =>
  command(
    WORKSTATION,
    sh`openssl s_client -connect ${serviceInstance(site, service)} -servername ${service.serverName} < /dev/null 2> /dev/null | openssl x509 -noout -enddate -checkend 0`,
    { expected: "notAfter=…\nCertificate will not expire" },
  );

/** Whether a certificate was renewed on the disk but is not the one being served, and what to do then. */
export const certificateOnDisk = (site: RegistrySite, service: PrivateService): Block[] => [
  paragraph(md`The same of the file on the disk, which nginx reads with each new connection:`),
  command(onHost(registryHost(site)), sh`openssl x509 -noout -enddate -checkend 0 -in ${service.tls.certificate}`, {
    expected: "notAfter=…\nCertificate will not expire",
  }),
  paragraph(
    md`Good on the disk and not as it is served: whatever renewed it put another file in its place, which the container does not see. Restart the reverse proxy:`,
  ),
  command(onHost(registryHost(site)), sh`${compose(site)} restart ${NGINX}`),
];
