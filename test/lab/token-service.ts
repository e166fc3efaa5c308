import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { serveOnLoopback } from "../loopback";
import type { KeyPair } from "./certificates";
import type { LabServer } from "./prometheus";
import type { LabCredentials } from "./registry";

/** Issues tokens to the clients of a registry, as Harbor's core and Forgejo do for theirs. */
export interface TokenService extends LabServer {
  /** The scopes that were requested with the right password, in order. */
  readonly granted: readonly string[];
}

export const ISSUER = "token service of the lab";
export const SERVICE = "registry of the lab";

const LIFETIME = 300;

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** https://distribution.github.io/distribution/spec/auth/scope/ */
const accessTo = (scope: string): object[] => {
  const [, type, name, actions = ""] = /^(\w+):(.+):([^:]*)$/.exec(scope) ?? [];
  return type === undefined ? [] : [{ type, name, actions: actions.split(",") }];
};

/**
 * Starts a token service on loopback. Its tokens are signed with the key and contain the certificate.
 *
 * https://distribution.github.io/distribution/spec/auth/jwt/
 */
export const startTokenService = async (user: LabCredentials, signer: KeyPair): Promise<TokenService> => {
  const granted: string[] = [];
  const key = createPrivateKey(readFileSync(signer.key));
  const x5c = [new X509Certificate(readFileSync(signer.certificate)).raw.toString("base64")];
  const token = (scopes: readonly string[]): string => {
    const now = Math.floor(Date.now() / 1000);
    const header = { typ: "JWT", alg: "ES256", x5c };
    const times = { exp: now + LIFETIME, nbf: now - 10, iat: now, jti: randomUUID() };
    const claims = { iss: ISSUER, sub: user.username, aud: SERVICE, ...times, access: scopes.flatMap(accessTo) };
    const signed = `${base64url(header)}.${base64url(claims)}`;
    const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  };
  const expected = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString("base64")}`;
  const { url, stop } = await serveOnLoopback((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    if (request.headers.authorization !== expected || searchParams.get("service") !== SERVICE) {
      response.writeHead(401).end();
      return;
    }
    const scopes = searchParams.getAll("scope");
    granted.push(...scopes);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ token: token(scopes) }));
  });
  return { url: `${url}/token`, granted, stop };
};
