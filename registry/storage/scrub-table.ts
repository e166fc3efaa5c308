import { plural } from "../../text/plural";
import { commandLine } from "../../text/shell-word";
import type { ScrubReport } from "./scrub";

const MEBIBYTE = 1024 * 1024;

/** The report as text: progress, corrupt blobs, how to repair them. Lines without line endings. */
export const scrubTable = ({ root, complete, progress, counts, corrupt }: ScrubReport): string[] => {
  const { blobs, bytes, ofBlobs, ofBytes } = counts;
  const size = (count: number) => Math.round(count / MEBIBYTE).toLocaleString("en");
  return [
    `store     ${root}`,
    `read      ${blobs.toLocaleString("en")} of ${plural(ofBlobs, "blob")}, ${size(bytes)} of ${size(ofBytes)} MiB (${Math.floor(100 * progress)} %)`,
    `corrupt   ${plural(corrupt.length, "blob")}`,
    ...(complete ? [] : ["          not at its end: the next run goes on from here"]),
    ...(corrupt.length === 0
      ? []
      : [
          "",
          ...corrupt.map((digest) => `          ${digest}`),
          "",
          `next      ${commandLine("warden", "diagnose", "REGISTRY", root, "--hash")}`,
          `          ${commandLine("warden", "repair", "REGISTRY", "--storage", root, "--from", "OTHER-REGISTRY", "--hash", "--apply")}`,
        ]),
  ];
};
