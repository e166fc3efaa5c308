import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { RegistryError } from "./errors";

/**
 * Reads the certificates of a private certificate authority.
 *
 * @param path of a PEM file with one certificate or more
 * @throws RegistryError `bad-input` when the file cannot be read or holds no certificate
 */
export function readCertificates(path: string): string {
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch {
    throw new RegistryError("bad-input", `the certificate file ${path} cannot be read`, "give the path of a PEM file");
  }
  try {
    // Node ignores what it cannot read in the list of authorities, and the connection fails for another reason later.
    new X509Certificate(pem);
  } catch {
    const hint = "give a PEM file that begins with BEGIN CERTIFICATE";
    throw new RegistryError("bad-input", `the certificate file ${path} holds no certificate`, hint);
  }
  return pem;
}
