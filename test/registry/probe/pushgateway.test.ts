import fc from "fast-check";
import { groupingKey, groupPath, isStale } from "../../../registry/probe/pushgateway";

test.each([
  [{ job: "probe", instance: "registry.example:5050" }, "metrics/job/probe/instance/registry.example%3A5050"],
  [{ job: "probe", instance: "a", shard: "1" }, "metrics/job/probe/instance/a/shard/1"],
  [{ job: "a/b", instance: "" }, "metrics/job@base64/YS9i/instance@base64/="],
  [{ job: "..", instance: "ü" }, "metrics/job@base64/Li4/instance/%C3%BC"],
])("the path of %j", (key, path) => {
  expect(groupPath(key)).toBe(path);
});

test("a path keeps its segments, whatever the values", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string(), (job, instance) => {
      const path = groupPath({ job, instance });
      expect(new URL(path, "http://push/").pathname.split("/")).toHaveLength(6);
    }),
  );
});

test("the groups of shards that are no more are stale, those of others never", () => {
  const key = { job: "probe", instance: "a" };
  const stale = (labels: Record<string, string>, count: number) => isStale(labels, key, { index: 0, count });
  expect(stale({ ...key, shard: "2" }, 2)).toBe(true);
  expect(stale({ ...key, shard: "1" }, 2)).toBe(false);
  expect(stale(key, 2)).toBe(true);
  expect(stale(key, 1)).toBe(false);
  expect(stale({ ...key, shard: "0" }, 1)).toBe(true);
  expect(stale({ ...key, shard: "x" }, 2)).toBe(true);
  expect(stale({ job: "probe", instance: "b", shard: "9" }, 1)).toBe(false);
  expect(stale({ job: "other", instance: "a", shard: "9" }, 1)).toBe(false);
  expect(stale({ ...key, shard: "9", team: "x" }, 1)).toBe(false);
});

test("a registry that is walked by one alone has no shard", () => {
  expect(groupingKey("probe", "a", { index: 0, count: 1 })).toEqual({ job: "probe", instance: "a" });
  expect(groupingKey("probe", "a", { index: 1, count: 2 })).toEqual({ job: "probe", instance: "a", shard: "1" });
});
