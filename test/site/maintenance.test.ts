import { longestWait } from "../../site/maintenance";
import { parsed, referenceSite, small } from "../sites";

const DAY = 24 * 60 * 60;

test("the reference site has the origin's times", () => {
  const { maintenance } = referenceSite.registry;
  expect(maintenance?.cleanUp?.map(({ at }) => at)).toEqual(["02:00"]);
  expect(maintenance?.caches).toEqual([{ days: ["sun"], at: "03:00" }]);
  expect(maintenance?.scan?.map(({ days, at }) => `${days.length} ${at}`)).toEqual(["6 02:30", "1 03:30"]);
});

test("probe and maintenance run on one image, from one pin", () => {
  const { registry, monitoring } = referenceSite;
  expect(registry.images.node).toEqual(monitoring.probeImage);
});

test("a site that does not ask for maintenance has none", () => {
  expect(parsed(small).registry.maintenance).toBeUndefined();
});

test.each([
  ["each day", [{ days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], at: "02:00" }], DAY],
  ["once a week", [{ days: ["sun"], at: "03:00" }], 7 * DAY],
  ["on workdays", [{ days: ["mon", "tue", "wed", "thu", "fri"], at: "23:59" }], 3 * DAY],
  [
    "at two times",
    [
      { days: ["mon", "tue", "wed", "thu", "fri", "sat"], at: "02:30" },
      { days: ["sun"], at: "03:30" },
    ],
    DAY + 3600,
  ],
] as const)("the longest wait of a job that runs %s", (_, schedule, seconds) => {
  expect(longestWait(schedule.map(({ days, at }) => ({ days: [...days], at })))).toBe(seconds);
});
