import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { RegistryError } from "./errors";

/**
 * Reads the certificates of a private certificate authority.
 *
 * @param path of a PEM file with one certificate or more
 * @throws RegistryError `bad-input` when the file cannot be read or holds no certificate
 */
export const readCertificates = (path: string): string => {
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch {
    throw new RegistryError("bad-input", `the certificate file ${path} cannot be read`, "give the path of a PEM file");
  }
  try {
    // Node ignores invalid entries in the list of authorities, and the connection would fail later for another reason.
    new X509Certificate(pem);
  } catch {
    const hint = "give a PEM file that begins with BEGIN CERTIFICATE";
    throw new RegistryError("bad-input", `the certificate file ${path} holds no certificate`, hint);
  }
  return pem;
};

/** Where the distributions keep the system's store as one file: Debian, Red Hat, SUSE, Alpine and BSD. */
const SYSTEM_STORES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const certificatesIn = (path: string | undefined): string[] => {
  if (!path) return [];
  try {
    return readFileSync(path, "utf8").match(CERTIFICATE) ?? [];
  } catch {
    // As in Node, OpenSSL and Go: a connection that needs it fails with its own error.
    return [];
  }
};

/**
 * All trusted certificate authorities: the public ones, the system's (or SSL_CERT_FILE in their place, as in OpenSSL and
 * Go), those of NODE_EXTRA_CA_CERTS, and the caller's own. Passing any to Node replaces all the others.
 *
 * @param own PEM
 */
export const trustedCertificates = (own: string | undefined, environment: NodeJS.ProcessEnv): string[] => {
  const { SSL_CERT_FILE, NODE_EXTRA_CA_CERTS } = environment;
  const system = SSL_CERT_FILE ? [SSL_CERT_FILE] : SYSTEM_STORES;
  const stored = system.map(certificatesIn).find((certificates) => certificates.length > 0) ?? [];
  const known = [...rootCertificates, ...stored, ...certificatesIn(NODE_EXTRA_CA_CERTS)];
  // The system store contains the public ones as well, wrapped at a different line length.
  const distinct = new Map(known.map((each) => [each.replace(/\s/g, ""), each]));
  return own === undefined ? [...distinct.values()] : [...distinct.values(), own];
};
