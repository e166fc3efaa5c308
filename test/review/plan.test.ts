import { PlanError, parsePlan } from "../../review/plan";

test.each([
  ["no JSON", "Terraform will perform", "x is no JSON"],
  ["a list", "[]", "x is no JSON object"],
  ["no version", "{}", "x has the format version none, which is not 1"],
  ["another version", '{"format_version":"2.0"}', 'x has the format version "2.0", which is not 1'],
  ["a state", '{"format_version":"1.0","values":{}}', "x is a state"],
  [
    "a change without actions",
    '{"format_version":"1.2","resource_changes":[{"address":"a","type":"b","change":{}}]}',
    "x holds a resource change without address, type or actions",
  ],
])("refuses %s", (_, text, message) =>
  expect(() => parsePlan(text, "x")).toThrow(new PlanError(message, 'write it with "terraform show -json plan"')),
);

test("takes a plan of any minor version", () => {
  expect(parsePlan('{"format_version":"1.9"}', "x")).toEqual({ format_version: "1.9" });
});
