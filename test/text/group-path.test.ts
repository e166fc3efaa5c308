import fc from "fast-check";
import { groupPath } from "../../text/group-path";

test.each([
  [{ job: "probe", instance: "registry.example:5050" }, "metrics/job/probe/instance/registry.example%3A5050"],
  [{ job: "probe", instance: "a", shard: "1" }, "metrics/job/probe/instance/a/shard/1"],
  [{ job: "a/b", instance: "" }, "metrics/job@base64/YS9i/instance@base64/="],
  [{ job: "..", instance: "ü" }, "metrics/job@base64/Li4/instance/%C3%BC"],
])("the path of %j", (labels, path) => {
  expect(groupPath(labels)).toBe(path);
});

test("a path keeps its segments, whatever the values", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string(), (job, instance) => {
      const path = groupPath({ job, instance });
      expect(new URL(path, "http://push/").pathname.split("/")).toHaveLength(6);
    }),
  );
});
