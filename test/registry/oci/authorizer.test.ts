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
  const endless = await tokenFrom(SAFE, `${AUTH}/t`, { [`${AUTH}/t`]: `${AUTH}/t` });
  expect(endless).toMatchObject({ header: null, asked: Array(6).fill(`${AUTH}/t`) });
  expect(await tokenFrom(SAFE, `${AUTH}/t`, { [`${AUTH}/t`]: "ftp://auth.example.org/t" })).toMatchObject({
    header: null,
  });
});

describe("tokens", () => {
  interface Given {
    status?: number;
    token?: unknown;
    expires_in?: number;
  }

  /** An authorizer whose token service gives these answers in turn, the last one for good. */
  const askedOf = (given: readonly Given[], credentials: Credentials = PASSWORD) => {
    const asked: Exchange[] = [];
    const transport = {
      exchange: async (exchange: Exchange): Promise<Answer> => {
        asked.push(exchange);
        const { status = 200, ...json } = given[Math.min(asked.length, given.length) - 1] ?? {};
        const body = Buffer.from(JSON.stringify(json));
        return { origin: exchange.origin, path: exchange.path, status, headers: {}, body, received: body.length };
      },
    } as unknown as Transport;
    const authorizer = new Authorizer(new URL(SAFE), credentials, transport);
    const challenge = (header: string, scope = "repository:a:pull") =>
      authorizer.answer(parseChallenges(header), scope, null);
    return { asked, authorizer, challenge };
  };
  const BEARER = `Bearer realm="${AUTH}/t",service="s"`;

  test.each([
    ["in a refusal", { status: 403, token: "t" }],
    ["that is empty", { token: "" }],
    ["that is no text", { token: ["t"] }],
    ["with a line break, which would end the header", { token: "t\r\nx: y" }],
  ])("a token %s is none", async (_what, given) => {
    expect(await askedOf([given]).challenge(BEARER)).toBeNull();
  });

  test.each(["ftp://auth.example.org/t", "file:///etc/passwd", "http://["])(
    "no token is asked for at %j: the registry takes Basic too",
    async (realm) => {
      const { asked, challenge } = askedOf([{ token: "t" }]);
      expect(await challenge(`Bearer realm="${realm}", Basic realm="x"`)).toMatch(/^Basic /);
      expect(asked).toEqual([]);
    },
  );

  test("an identity token is never sent as a password", async () => {
    const { asked, challenge } = askedOf([{ token: "t" }], IDENTITY);
    expect(await challenge('Basic realm="x"')).toBeNull();
    expect(asked).toEqual([]);
  });

  test("an identity token is sent as RFC 6749 has it, in the body alone", async () => {
    const { asked, challenge } = askedOf([{ token: "t" }], IDENTITY);
    await challenge(BEARER);
    expect(asked).toHaveLength(1);
    const [{ method, path, headers, body }] = asked as [Exchange];
    expect({ method, path, headers }).toEqual({
      method: "POST",
      path: "/t",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    expect(Object.fromEntries(new URLSearchParams(`${body}`))).toEqual({
      service: "s",
      grant_type: "refresh_token",
      refresh_token: "s3cret-token",
      client_id: "registry-warden",
      scope: "repository:a:pull",
    });
  });

  test.each([
    ["ten seconds before it ends", 300, 290],
    ["after half of a short life", 4, 2],
    ["after 50 seconds where its end is not told", undefined, 50],
    ["after 50 seconds where its end is no time", -1, 50],
  ])("a token is renewed %s", async (_what, expires_in, seconds) => {
    const clock = jest.spyOn(performance, "now");
    try {
      clock.mockReturnValue(1_000);
      const { asked, authorizer, challenge } = askedOf([{ token: "t", expires_in }]);
      await challenge(BEARER);
      clock.mockReturnValue(1_000 + seconds * 1000 - 1);
      await authorizer.headerFor("repository:a:pull");
      expect(asked).toHaveLength(1);
      clock.mockReturnValue(1_000 + seconds * 1000);
      await authorizer.headerFor("repository:a:pull");
      expect(asked).toHaveLength(2);
    } finally {
      clock.mockRestore();
    }
  });

  test.each([429, 500, 503])("a service that answers %i is asked again by the next request", async (status) => {
    const { authorizer, challenge } = askedOf([{ status }, { token: "t" }]);
    await expect(challenge(BEARER)).rejects.toMatchObject({ code: "unreachable" });
    expect(await authorizer.headerFor("repository:a:pull")).toBe("Bearer t");
  });

  test("no more than a thousand are kept, and no answer is read beyond a megabyte", async () => {
    const { asked, authorizer, challenge } = askedOf([{ token: "t", expires_in: 300 }]);
    await challenge(BEARER, "repository:0:pull");
    for (let at = 1; at <= 1000; at++) await authorizer.headerFor(`repository:${at}:pull`);
    expect(asked).toHaveLength(1001);
    await authorizer.headerFor("repository:1000:pull");
    expect(asked).toHaveLength(1001);
    await authorizer.headerFor("repository:0:pull");
    expect(asked).toHaveLength(1002);
    for (const { limit } of asked) expect(limit).toBe(1024 * 1024);
  });
});
