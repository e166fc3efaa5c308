import { Authorizer, parseChallenges } from "../../../registry/oci/authorization";
import type { Credentials } from "../../../registry/oci/credentials";
import type { Answer, Exchange, Transport } from "../../../registry/oci/http";

const PASSWORD: Credentials = { kind: "password", username: "prober", password: "s3cret" };
const IDENTITY: Credentials = { kind: "identity-token", token: "s3cret-token" };

/** Requests a token with these credentials; each address answers with a redirect or with a token. */
const tokenFrom = async (
  registry: string,
  realm: string,
  redirects: Record<string, string>,
  credentials: Credentials = PASSWORD,
) => {
  const seen: Exchange[] = [];
  const transport = {
    exchange: async (exchange: Exchange): Promise<Answer> => {
      seen.push(exchange);
      const address = exchange.origin + exchange.path.replace(/\?.*/, "");
      const location = redirects[address];
      const body = Buffer.from(JSON.stringify({ token: "token" }));
      const { origin, path } = exchange;
      return location === undefined
        ? { origin, path, status: 200, headers: {}, body, received: body.length }
        : { origin, path, status: 307, headers: { location }, body: Buffer.alloc(0), received: 0 };
    },
  } as unknown as Transport;
  const authorizer = new Authorizer(new URL(registry), credentials, transport);
  const header = await authorizer.answer(
    parseChallenges(`Bearer realm="${realm}",service="s"`),
    "repository:a:pull",
    null,
  );
  const told = seen.filter(({ headers, body }) => JSON.stringify({ headers, body }).match(/Basic |s3cret/));
  return {
    header,
    asked: seen.map(({ origin, path }) => origin + path.replace(/\?.*/, "")),
    told: told.map(({ origin }) => origin),
  };
};

const SAFE = "https://registry.example.org";
const AUTH = "https://auth.example.org";

test.each<[string, string, string, string[], string[]]>([
  ["stays at its host", SAFE, `${AUTH}/t`, [`${AUTH}/u`], [AUTH, AUTH]],
  [
    "goes to a host below it",
    SAFE,
    `${AUTH}/t`,
    ["https://eu.auth.example.org/u"],
    [AUTH, "https://eu.auth.example.org"],
  ],
  ["goes to another port of it", SAFE, `${AUTH}/t`, [`${AUTH}:8443/u`], [AUTH, `${AUTH}:8443`]],
  ["goes to another host", SAFE, `${AUTH}/t`, ["https://evil.example.com/u"], [AUTH]],
  ["goes to a host that ends alike", SAFE, `${AUTH}/t`, ["https://evilauth.example.org/u"], [AUTH]],
  ["goes to a host above it", SAFE, `${AUTH}/t`, ["https://example.org/u"], [AUTH]],
  ["goes from https to http", SAFE, `${AUTH}/t`, ["http://auth.example.org/u"], [AUTH]],
  ["goes to another host and back", SAFE, `${AUTH}/t`, ["https://evil.example.com/u", `${AUTH}/v`], [AUTH]],
  ["is http for a registry of http", "http://lab:5000", "http://auth/t", [], ["http://auth"]],
  ["is http for a registry of https", SAFE, "http://auth.example.org/t", [], []],
  ["is http for a registry of https, and goes to https", SAFE, "http://auth.example.org/t", [`${AUTH}/u`], []],
])("a token service that %s is told the password only where it belongs", async (_what, registry, realm, hops, told) => {
  const chain = [realm, ...hops];
  const redirects = Object.fromEntries(hops.map((to, at) => [chain[at], to]));
  const given = await tokenFrom(registry, realm, redirects);
  expect(given).toEqual({ header: "Bearer token", asked: chain, told });
});

test("an identity token, which stands in the body, is not sent on to another host", async () => {
  const same = await tokenFrom(SAFE, `${AUTH}/t`, { [`${AUTH}/t`]: `${AUTH}/u` }, IDENTITY);
  expect(same).toMatchObject({ header: "Bearer token", told: [AUTH, AUTH] });
  const other = await tokenFrom(SAFE, `${AUTH}/t`, { [`${AUTH}/t`]: "https://evil.example.com/u" }, IDENTITY);
  expect(other).toEqual({ header: null, asked: [`${AUTH}/t`], told: [AUTH] });
  const unsafe = await tokenFrom(SAFE, "http://auth.example.org/t", {}, IDENTITY);
  expect(unsafe.told).toEqual([]);
});

test("a redirect without an end, and one to nowhere, give no token", async () => {
  expect(await tokenFrom(SAFE, `${AUTH}/t`, { [`${AUTH}/t`]: `${AUTH}/t` })).toMatchObject({ header: null });
  expect(await tokenFrom(SAFE, `${AUTH}/t`, { [`${AUTH}/t`]: "ftp://auth.example.org/t" })).toMatchObject({
    header: null,
  });
});
