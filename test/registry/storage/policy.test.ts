import fc from "fast-check";
import { keepNewest, matchesPattern, parsePolicy } from "../../../registry/storage/policy";
import { StorageRefusal } from "../../../registry/storage/refusal";

const refusal = (json: unknown): string => {
  try {
    parsePolicy(json);
  } catch (error) {
    expect(error).toBeInstanceOf(StorageRefusal);
    return (error as StorageRefusal).message;
  }
  throw new Error("the policy was accepted");
};

const rule = { repositories: "**", keepNewest: 10 };

test("every field of a policy", () => {
  const policy = {
    protect: ["latest"],
    rules: [{ ...rule, keep: ["v*"], keepYoungerThanHours: 24, untaggedOlderThanHours: 1 }],
  };
  expect(parsePolicy(policy)).toEqual(policy);
});

test("the newest of every repository", () => {
  expect(keepNewest(3, [])).toEqual({ rules: [{ repositories: "**", keepNewest: 3 }] });
  expect(keepNewest(3, ["v*"])).toEqual({ rules: [{ repositories: "**", keepNewest: 3, keep: ["v*"] }] });
});

test.each([
  [
    "a mistyped field of a rule",
    { rules: [{ ...rule, keepNewst: 1 }] },
    /policy\.rules\.0 has the unknown field "keepNewst": allowed are repositories, keepNewest/,
  ],
  [
    "a mistyped field",
    { rule: [], rules: [rule] },
    /policy has the unknown field "rule": allowed are protect, protectInUse, rules/,
  ],
  [
    "no tag at all",
    { rules: [{ ...rule, keepNewest: 0 }] },
    /policy\.rules\.0\.keepNewest is 0: .* 1 or more: a repository never loses every tag/,
  ],
  ["half a tag", { rules: [{ ...rule, keepNewest: 1.5 }] }, /keepNewest is 1\.5/],
  ["no number", { rules: [{ repositories: "**" }] }, /keepNewest is missing/],
  ["no rule", { rules: [] }, /at least one rule/],
  ["something else", "keep all", /policy is "keep all"/],
  ["an empty pattern", { rules: [{ ...rule, keep: [""] }] }, /keep\.0 is "": allowed is a pattern/],
  ["a regular expression", { rules: [{ ...rule, keep: ["(a|b)"] }] }, /keep\.0 is "\(a\|b\)"/],
  [
    "repositories in capitals, which none has",
    { rules: [{ ...rule, repositories: "Team/*" }] },
    /repositories is "Team/,
  ],
  ["repositories with an empty part", { rules: [{ ...rule, repositories: "team//app" }] }, /is "team\/\/app"/],
  ["three stars", { rules: [{ ...rule, repositories: "***" }] }, /repositories is "\*\*\*"/],
  ["a slash in a tag, which none has", { protect: ["v1/*"], rules: [rule] }, /protect\.0 is "v1\/\*"/],
  [
    "the flag that caused the incident",
    { deleteUntagged: true, rules: [rule] },
    /policy\.deleteUntagged is true: allowed is to leave it out: garbage-collect -m deletes the parts of tagged images/,
  ],
  ["the same flag in a rule", { rules: [{ ...rule, deleteUntagged: true }] }, /rules\.0\.deleteUntagged is true/],
  ["no age", { rules: [{ ...rule, keepYoungerThanHours: 0 }] }, /keepYoungerThanHours is 0/],
])("fails on %s, in one line", (_, json, message) => {
  expect(refusal(json)).toMatch(message);
  expect(refusal(json)).not.toContain("\n");
});

test("fails with every error at once", () => {
  expect(refusal({ rules: [{ repositories: "", keepNewest: 0 }] })).toMatch(/repositories is "".*keepNewest is 0/);
});

describe("patterns", () => {
  test.each([
    ["v*", "v1.2", true],
    ["v*", "1.2", false],
    ["v1.2", "v1x2", false],
    ["team/*", "team/app", true],
    ["team/*", "team/app/tool", false],
    ["team/**", "team/app/tool", true],
    ["**", "any/thing", true],
  ])("%s and %s: %p", (pattern, name, matches) => {
    expect(matchesPattern(pattern, name)).toBe(matches);
  });

  test("a name is a pattern of itself alone", () => {
    const name = fc.stringMatching(/^[a-zA-Z0-9_./-]{1,30}$/);
    fc.assert(fc.property(name, name, (left, right) => expect(matchesPattern(left, right)).toBe(left === right)));
  });
});
