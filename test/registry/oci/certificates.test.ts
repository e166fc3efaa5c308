import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { readCertificates, trustedCertificates } from "../../../registry/oci/certificates";

const [first = "", second = "", third = ""] = rootCertificates;
const bare = (pem: string): string => pem.replace(/\s/g, "");
/** Different certificates: the same one with other line lengths would be recognized. */
const others = [first, second, third].map((pem) =>
  pem.replace(/[A-Za-z0-9+/]{10}(?=\n)/, (end) => [...end].reverse().join("")),
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "warden-trust-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string, ...certificates: string[]): string => {
  writeFileSync(join(folder, name), `# a comment\n${certificates.join("\n")}\n`);
  return join(folder, name);
};

test("the public authorities stay trusted, whatever is added", () => {
  const environment = {
    SSL_CERT_FILE: file("ssl", others[0] ?? ""),
    NODE_EXTRA_CA_CERTS: file("extra", others[1] ?? ""),
  };
  const trusted = trustedCertificates(others[2], environment);
  const known = new Set(trusted.map(bare));
  for (const each of [...rootCertificates, ...others]) expect(known).toContain(bare(each));
  expect(trusted).toHaveLength(rootCertificates.length + 3);
});

test("an authority that stands twice, in lines of any length, is trusted once", () => {
  const [begin = "", ...lines] = first.split("\n");
  const longer = [begin, lines.slice(0, -1).join(""), ...lines.slice(-1)].join("\n");
  expect(trustedCertificates(undefined, { SSL_CERT_FILE: file("ssl", longer) })).toHaveLength(rootCertificates.length);
});

test("a store that cannot be read adds nothing", () => {
  const environment = { SSL_CERT_FILE: join(folder, "none"), NODE_EXTRA_CA_CERTS: folder };
  expect(trustedCertificates(undefined, environment)).toHaveLength(rootCertificates.length);
});

test("a file of certificates is read as it is; one that is not there, or holds none, is refused by its name", () => {
  const path = file("own", first, second);
  expect(() => readCertificates(path)).not.toThrow();
  const missing = join(folder, "none");
  expect(() => readCertificates(missing)).toThrow(`the certificate file ${missing} cannot be read`);
  const empty = file("empty", "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----");
  expect(() => readCertificates(empty)).toThrow(`the certificate file ${empty} holds no certificate`);
});
