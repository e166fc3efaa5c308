import { parsePlan } from "../../review/plan";

const CURE = 'write it with "terraform show -json plan"';

test.each([
  ["no JSON", "Terraform will perform", `x is no JSON; allowed is a plan: ${CURE}`],
  ["a list", "[]", `x is no JSON object; allowed is a plan: ${CURE}`],
  ["no version", "{}", `x has the format version none; allowed is a plan of version 1: ${CURE}`],
  [
    "another version",
    '{"format_version":"2.0"}',
    `x has the format version "2.0"; allowed is a plan of version 1: ${CURE}`,
  ],
  ["a state", '{"format_version":"1.0","values":{}}', `x is a state; allowed is a plan: ${CURE}`],
  [
    "a change without actions",
    '{"format_version":"1.2","resource_changes":[{"address":"a","type":"b","change":{}}]}',
    `x holds a resource change without address, type or actions; allowed is a plan: ${CURE}`,
  ],
])("refuses %s", (_, text, message) => expect(() => parsePlan(text, "x")).toThrow(new Error(message)));

test("takes a plan of any minor version", () => {
  expect(parsePlan('{"format_version":"1.9"}', "x")).toEqual({ format_version: "1.9" });
});
