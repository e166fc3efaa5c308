import { compareSync } from "bcryptjs";
import fc from "fast-check";
import { COST, htpasswdLine, isUser } from "../../registry/htpasswd";
import { anyCharacter } from "../any-character";

const LINE = /^([^:]+):(\$2b\$(\d\d)\$[./A-Za-z0-9]{53})\n$/;

test("is one line with a bcrypt hash of the password, whatever is in it", async () => {
  const password = fc
    .string({ unit: anyCharacter, minLength: 1, maxLength: 18 })
    .filter((text) => !/\p{Cc}|\p{Cs}/u.test(text));
  await fc.assert(
    fc.asyncProperty(password, async (given) => {
      const [, user, hash = "", cost] = LINE.exec(await htpasswdLine("ci", given, COST.random)) ?? [];
      expect([user, cost]).toEqual(["ci", "04"]);
      expect(compareSync(given, hash)).toBe(true);
      expect(compareSync(`${given}x`, hash)).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test("has another salt each time, and the cost that is asked for", async () => {
  const [one, other] = [await htpasswdLine("ci", "p", 4), await htpasswdLine("ci", "p", 4)];
  expect(one).not.toBe(other);
  expect(await htpasswdLine("ci", "p", COST.person)).toMatch(/^ci:\$2b\$10\$/);
});

test.each([
  ["that is empty", "", /that is empty, and needs 1 to 72 bytes/],
  ["of two lines", "one\ntwo", /with a line break or another control character/],
  ["with a NUL", "one\0two", /control character/],
  ["that bcrypt would cut", "x".repeat(73), /of more than 72 bytes, of which bcrypt ignores the rest/],
  ["that is too long in bytes only", "ü".repeat(37), /more than 72 bytes/],
])("fails on a password %s, without naming it", async (_, password, message) => {
  await expect(htpasswdLine("ci", password, 4)).rejects.toThrow(message);
});

test("takes a password of exactly 72 bytes", async () => {
  const password = "x".repeat(72);
  const [, , hash = ""] = LINE.exec(await htpasswdLine("ci", password, 4)) ?? [];
  expect(compareSync(`${"x".repeat(71)}y`, hash)).toBe(false);
});

test.each(["ci", "Ops.Team@example.org", "jürgen"])("%s is a user", (user) => expect(isUser(user)).toBe(true));
test.each(["", "a:b", "a b", "#a", "a\n", "\u001ba"])("%j is no user", (user) => expect(isUser(user)).toBe(false));
