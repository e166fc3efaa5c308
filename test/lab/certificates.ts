import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { required } from "./components";
import { temporaryFolder } from "./process";

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A private certificate authority of one test. */
export interface CertificateAuthority {
  /** Path of the authority's own certificate (PEM): what a client has to trust. */
  readonly certificate: string;
  /** A server certificate for DNS names and IP addresses, valid for `days` (default 30) from now. */
  issue(names: readonly [string, ...string[]], options?: { readonly days?: number }): KeyPair;
  /** Removes every file of it. */
  remove(): void;
}

/** Makes a certificate authority with keys on the curve P-256, in a temporary folder. */
export function createCertificateAuthority(): CertificateAuthority {
  const folder = temporaryFolder("ca");
  const authority = { certificate: join(folder, "ca.crt"), key: join(folder, "ca.key") };
  request(authority, ["-days", "30", "-subj", "/CN=lab authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
  let issued = 0;
  return {
    certificate: authority.certificate,
    issue: (names, { days = 30 } = {}) => {
      issued += 1;
      const pair = { certificate: join(folder, `${issued}.crt`), key: join(folder, `${issued}.key`) };
      request(pair, [
        ...["-CA", authority.certificate, "-CAkey", authority.key, "-days", String(days), "-subj", "/CN=lab server"],
        ...["-addext", `subjectAltName=${names.map((name) => `${isIP(name) ? "IP" : "DNS"}:${name}`).join(",")}`],
        ...["-addext", "basicConstraints=critical,CA:false", "-addext", "extendedKeyUsage=serverAuth"],
      ]);
      return pair;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** openssl-req(1): a new key and a certificate for it. */
function request({ certificate, key }: KeyPair, options: readonly string[]): void {
  const [program, ...first] = required("openssl").command;
  execFileSync(
    program,
    [
      ...[...first, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-keyout", key, "-out", certificate, ...options],
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
}
