import * as fc from "fast-check";
import { redactDeep, redactor, SENSITIVE } from "../../review/redaction";

const PASSWORD = 'p"a$s\\w+o/r?d&1';

test.each([
  ["as it is", `password=${PASSWORD};`],
  ["in JSON", JSON.stringify({ password: PASSWORD })],
  ["in a URL", `?password=${encodeURIComponent(PASSWORD)}`],
  ["in base64", Buffer.from(PASSWORD).toString("base64")],
  ["in base64 for URLs", Buffer.from(PASSWORD).toString("base64url")],
  ...["u", "me", "robot"].map((user) => [
    `in an Authorization header of ${user}`,
    `Authorization: Basic ${Buffer.from(`${user}:${PASSWORD}`).toString("base64")}`,
  ]),
])("a secret is taken out %s", (_, text) => {
  const redacted = redactor([PASSWORD])(text);
  expect(redacted).toContain(SENSITIVE);
  expect(redacted).not.toContain(PASSWORD);
  expect(redacted).not.toContain(encodeURIComponent(PASSWORD));
  const base64 = redacted.match(/[\w+/-]{8,}=*/g) ?? [];
  expect(base64.filter((word) => Buffer.from(word, "base64").toString().includes(PASSWORD.slice(2, -2)))).toEqual([]);
});

test("each line of a secret of several lines is one, but for short ones", () => {
  const key = ["first line of the key", "end", "second line of the key"];
  expect(redactor([key.join("\n")])(`+ ${key[2]}\n+ ${key[1]}\n+ ${key[0]}`)).toBe(
    `+ ${SENSITIVE}\n+ end\n+ ${SENSITIVE}`,
  );
});

test("private keys and credentials in a URL are secrets by themselves", () => {
  const redact = redactor([]);
  expect(redact("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\nnext")).toBe(
    `${SENSITIVE}\nnext`,
  );
  expect(redact("cut: -----BEGIN PRIVATE KEY-----\nb3Bl")).toBe(`cut: ${SENSITIVE}`);
  expect(redact("https://me:p@ss@example.org/x")).toBe(`https://${SENSITIVE}@example.org/x`);
});

test("text that is not a secret stays", () => {
  const redact = redactor(["abc", "true", "root"]);
  for (const text of ["abc", "true", "/root/x", "http://example.org:5000/v2/@sha256:0", "ssh://root@example.org"])
    expect(redact(text)).toBe(text);
});

test("a longer secret is taken before a shorter one within it", () => {
  expect(redactor(["secret", "secret-of-all"])("a secret-of-all")).toBe(`a ${SENSITIVE}`);
});

test("a value is redacted in its keys, strings and numbers", () => {
  const redact = redactor(["hidden", "54321"]);
  expect(redactDeep({ hidden: 1, list: ["a hidden b", 54321, 5, null, true] }, redact)).toEqual({
    [SENSITIVE]: 1,
    list: [`a ${SENSITIVE} b`, SENSITIVE, 5, null, true],
  });
});

test("no secret survives in any text around it", () => {
  const secret = fc
    .string({ unit: "grapheme", minLength: 4, maxLength: 20 })
    .filter((text) => !/^(true|false|null|none|root|admin)$/.test(text));
  fc.assert(
    fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
      const redacted = redactor([value])(`${before}${value}${after}`);
      // A secret that is part of the marker itself cannot be told apart from it.
      expect(redacted.replaceAll(SENSITIVE, "\0").includes(value)).toBe(false);
    }),
  );
});

test.each(["A", "://a:", "-----BEGIN "])(
  "a megabyte of %j holds no secret, and the one behind it is taken out",
  (unit) => {
    const text = unit.repeat(200_000);
    expect(redactor([PASSWORD])(text)).toBe(text);
    expect(redactor([PASSWORD])(`${text}\n${PASSWORD}`)).toBe(`${text}\n${SENSITIVE}`);
  },
);
