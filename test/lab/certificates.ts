import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
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
  /** The same, with an expired certificate. */
  issueEnded(names: readonly [string, ...string[]]): KeyPair;
  /** Removes all of its files. */
  remove(): void;
}

/** Makes a certificate authority with keys on the curve P-256, in a temporary folder. */
export const createCertificateAuthority = (): CertificateAuthority => {
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
        ...["-addext", `subjectAltName=${alternatives(names)}`],
        ...["-addext", "basicConstraints=critical,CA:false", "-addext", "extendedKeyUsage=serverAuth"],
      ]);
      return pair;
    },
    issueEnded: (names) => {
      issued += 1;
      const pair = { certificate: join(folder, `${issued}.crt`), key: join(folder, `${issued}.key`) };
      sign(authority, pair, folder, names);
      return pair;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};

const alternatives = (names: readonly string[]): string =>
  names.map((name) => `${isIP(name) ? "IP" : "DNS"}:${name}`).join(",");

const run = (...options: readonly string[]): void => {
  const [program, ...first] = required("openssl").command;
  execFileSync(program, [...first, ...options], { stdio: ["ignore", "pipe", "pipe"] });
};

/** Only openssl-ca(1) accepts an end date in the past. */
const sign = (authority: KeyPair, { certificate, key }: KeyPair, folder: string, names: readonly string[]): void => {
  const configuration = `${certificate}.cnf`;
  writeFileSync(
    configuration,
    `[ca]\ndefault_ca = own\n[own]\ndatabase = ${certificate}.index\nnew_certs_dir = ${folder}\nrand_serial = yes\ndefault_md = sha256\npolicy = any\nx509_extensions = server\n[any]\ncommonName = supplied\n[server]\nsubjectAltName = ${alternatives(names)}\n`,
  );
  writeFileSync(`${certificate}.index`, "");
  run(
    ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", `${certificate}.csr`, "-subj", "/CN=lab server"],
  );
  run(
    ...["ca", "-batch", "-notext", "-config", configuration, "-cert", authority.certificate, "-keyfile", authority.key],
    ...[
      "-in",
      `${certificate}.csr`,
      "-out",
      certificate,
      "-startdate",
      "20200101000000Z",
      "-enddate",
      "20200201000000Z",
    ],
  );
};

/** openssl-req(1): a new key and a certificate for it. */
const request = ({ certificate, key }: KeyPair, options: readonly string[]): void => {
  run(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", certificate, ...options],
  );
};
