import { groupingKey, isStale } from "../../../registry/probe/pushgateway";
import { groupPath } from "../../../text/group-path";

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

it("has the cluster in the key, where there is one", () => {
  const key = groupingKey("probe", "a", { index: 1, count: 2 }, "home");
  expect(key).toEqual({ job: "probe", instance: "a", cluster: "home", shard: "1" });
  expect(groupPath({ ...key })).toBe("metrics/job/probe/instance/a/cluster/home/shard/1");
});

describe("a group of a probe of another name", () => {
  const DAY = 24 * 60 * 60;
  const key = { job: "new", instance: "a" };
  const one = { index: 0, count: 1 };

  it("is stale when it has been silent for a day, its shards too", () => {
    expect(isStale({ job: "old", instance: "a" }, key, one, DAY + 1)).toBe(true);
    expect(isStale({ job: "old", instance: "a", shard: "1" }, key, one, DAY + 1)).toBe(true);
  });

  it("is not while it reports, is of another registry or cluster, or is no probe's", () => {
    expect(isStale({ job: "old", instance: "a" }, key, one, DAY)).toBe(false);
    expect(isStale({ job: "old", instance: "b" }, key, one, DAY + 1)).toBe(false);
    expect(isStale({ job: "old", instance: "a", cluster: "home" }, key, one, DAY + 1)).toBe(false);
    expect(isStale({ job: "old", instance: "a" }, { ...key, cluster: "home" }, one, DAY + 1)).toBe(false);
    expect(isStale({ job: "old", instance: "a", task: "scan" }, key, one, DAY + 1)).toBe(false);
  });
});
