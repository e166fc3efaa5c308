import * as z from "zod";
import {
  absolutePath,
  count,
  duplicates,
  line,
  matching,
  oneOf,
  periodMinutes,
  pushgatewayBaseUrl,
  record,
  refused,
} from "./fields";
import { rule } from "./rule";

/** In the order of systemd and of the week. */
export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** A time of day on some days of the week. */
export const weekly = record({
  days: z
    .array(oneOf(DAYS), { error: "allowed is a list of days" })
    .min(1, { error: 'allowed is at least one day, for example "sun"' }),
  at: matching(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day from "00:00" to "23:59"'),
});

/** In the host's time zone. */
const schedule = z
  .array(weekly, { error: "allowed is a list of days and times" })
  .min(1, { error: "allowed is at least one run: leave the job out where there is none" });

/** The jobs with a schedule. They run one at a time; the next one waits. */
const JOBS = ["cleanUp", "caches", "scan", "scrub"] as const;

/** Jobs that keep the registries on their host small and intact. */
const fields = record({
  /**
   * The operator's env file on the host, mode 0600, with REG_USER='…' and REG_PASS='…' of an account that may push. Without
   * the quotes, compose would expand everything after a dollar sign.
   */
  credentialsFile: absolutePath,
  /**
   * The Pushgateway as the host reaches it; a cluster-internal name does not resolve there. Default: the one of the
   * monitoring, if that is not in a cluster.
   */
  pushgateway: pushgatewayBaseUrl.optional(),
  /** For each private registry: removes what its retention does not keep, and frees the space. */
  cleanUp: schedule.optional(),
  /** For each cache: removes unreferenced data. A cache itself drops what was not requested for a week. */
  caches: schedule.optional(),
  /** For every registry: finds damage on its disk. */
  scan: schedule.optional(),
  /** For every registry: verifies the digest of each blob on its disk, a few hours' worth in each run. Default: weekly. */
  scrub: schedule.default([{ days: ["sat"], at: "04:40" }]),
  /** The free space of the data's file system. */
  disk: record({
    everyMinutes: periodMinutes,
    /** Less than this triggers an alert. */
    minimumFreePercent: count(1, 50),
  }),
  /** Cron entries whose command contains one of these are disabled, in addition to those that collect garbage. */
  replaces: z.array(line, { error: "allowed is a list of texts of commands" }).default([]),
  deleteUntagged: refused(
    "allowed is to leave it out: garbage-collect -m deletes the parts of tagged images on this version of the registry, and nothing here needs it",
  ),
});

const oneJobAtATime = rule(fields, JOBS, (jobs) => {
  const moments = JOBS.flatMap((job) => (jobs[job] ?? []).flatMap(({ days, at }) => days.map((day) => `${day} ${at}`)));
  const twice = duplicates(moments);
  return twice.length === 0
    ? undefined
    : `more than one job begins on ${twice.join(", ")}; allowed is one at a time: move the others, a clean-up of a large registry takes minutes`;
});

export const maintenance = fields.check(oneJobAtATime);

export type Maintenance = z.output<typeof maintenance>;
export type Schedule = z.output<typeof schedule>;

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;
const WEEK = DAYS.length * DAY;

/** Seconds since the start of the week. */
const moments = (schedule: Schedule): number[] =>
  schedule
    .flatMap(({ days, at }) => {
      const [hour = 0, minute = 0] = at.split(":").map(Number);
      return days.map((day) => DAYS.indexOf(day) * DAY + (hour * 60 + minute) * MINUTE);
    })
    .sort((a, b) => a - b);

/** The longest interval between two runs (seconds). */
export const longestWait = (schedule: Schedule): number => {
  const all = moments(schedule);
  return Math.max(...all.map((moment, index) => (all[index + 1] ?? (all[0] ?? 0) + WEEK) - moment));
};

/** How old the last success of a job may become (seconds): one run may be missed, but not for more than a day. */
export const allowedAge = (schedule: Schedule): number => {
  const wait = longestWait(schedule);
  return wait + Math.min(wait, DAY);
};
