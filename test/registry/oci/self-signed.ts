import { generateKeyPairSync, sign } from "node:crypto";

/** DER (X.690): tag, length, content. */
const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length > 255 ? [0x82, length >> 8, length & 255] : [0x81, length];
  return Buffer.from([tag, ...(length < 128 ? [length] : long), ...content]);
};
const hex = (text: string): Buffer => Buffer.from(text, "hex");
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const ECDSA_WITH_SHA256 = sequence(hex("06082a8648ce3d040302"));
const COMMON_NAME = hex("0603550403");
const ALTERNATIVE_NAME = hex("0603551d11");
const BEGINS = der(0x18, Buffer.from("20000101000000Z"));

export interface SelfSigned {
  /** PEM. */
  cert: string;
  key: string;
}

/** A certificate for 127.0.0.1 that is its own authority (RFC 5280, section 4.1), made without openssl. */
export const selfSigned = (ends: Date): SelfSigned => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from("test")))));
  const until = der(0x18, Buffer.from(ends.toISOString().replace(/[-:T]|\.\d+/g, "")));
  const address = sequence(der(0x87, Buffer.from([127, 0, 0, 1])));
  const body = sequence(
    der(0xa0, hex("020102")),
    hex("020101"),
    ECDSA_WITH_SHA256,
    name,
    sequence(BEGINS, until),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(sequence(ALTERNATIVE_NAME, der(0x04, address)))),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", body, privateKey));
  const base64 = sequence(body, ECDSA_WITH_SHA256, signature).toString("base64");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
};
