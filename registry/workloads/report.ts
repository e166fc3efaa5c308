import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { shortDigest } from "../report/names";
import { countStates, SEVERITY, type VerifiedImage } from "./verify";

export interface WorkloadCounts {
  /** Containers of unfinished pods and of CronJobs, whatever registry they pull from. */
  containers: number;
  /** Pods and CronJobs that could not be read. */
  unreadable: number;
  /** Distinct images from this registry. */
  images: number;
  intact: number;
  /** A part is lost or damaged. */
  broken: number;
  /** The tag or the manifest is gone. */
  missing: number;
  /** It could not be requested. */
  unknown: number;
}

/** The images that workloads need from a registry, and their state. */
export interface WorkloadsReport {
  /** The registry's origin. */
  registry: string;
  /** The names under which image references know it. */
  names: readonly string[];
  /** Whether the cluster reported everything, and every image could be requested. */
  complete: boolean;
  counts: WorkloadCounts;
  /** Sorted by repository, tag and digest. */
  images: VerifiedImage[];
}

/** The report for a cluster's workloads. */
export const workloadsReport = (
  registry: string,
  names: readonly string[],
  told: { containers: number; unreadable: number },
  images: VerifiedImage[],
): WorkloadsReport => {
  const counts = { ...told, images: images.length, ...countStates(images) };
  return { registry, names, complete: counts.unreadable === 0 && counts.unknown === 0, counts, images };
};

const MOST_WORKLOADS = 3;

/**
 * The report as text: images that cannot be pulled again come first. Lines without line endings.
 *
 * @param report may contain only some of the images
 * @param most maximum number of rows; default: all
 */
export const workloadsTable = (report: WorkloadsReport, most = Number.POSITIVE_INFINITY): string[] => {
  const { registry, names, counts, images } = report;
  const { intact, broken, missing, unknown } = counts;
  const states = [
    `${intact.toLocaleString("en")} intact`,
    ...(broken === 0 ? [] : [`${broken.toLocaleString("en")} broken`]),
    ...(missing === 0 ? [] : [`${missing.toLocaleString("en")} missing`]),
    ...(unknown === 0 ? [] : [`${unknown.toLocaleString("en")} unknown`]),
  ];
  const summary = [
    `registry  ${registry}`,
    `in use    ${plural(counts.images, "image")} of ${plural(counts.containers, "container")}: ${states.join(", ")}`,
    ...(counts.unreadable === 0
      ? []
      : [`warning   ${plural(counts.unreadable, "pod or CronJob", "pods and CronJobs")} could not be read`]),
  ];
  if (counts.images === 0) return [...summary, `note      no container has an image of ${names.join(" or ")}`];
  if (images.length === 0) return summary;
  const ordered = SEVERITY.flatMap((state) => images.filter((image) => image.state === state));
  const rows = ordered.slice(0, most).map(rowOf);
  const more = ordered.length - rows.length;
  return [
    ...summary,
    "",
    ...columns([["STATE", "IMAGE", "RUNS", "IN"], ...rows]),
    ...(more > 0 ? [`and ${more.toLocaleString("en")} more`] : []),
  ];
};

const rowOf = ({ state, repository, tag, digest, running, imageId, moved, workloads }: VerifiedImage): string[] => {
  const name = tag === null ? `${repository}@${shortDigest(digest)}` : `${repository}:${tag}`;
  const runs = running ?? imageId;
  const first = workloads.slice(0, MOST_WORKLOADS);
  const more = workloads.length - first.length;
  return [
    state,
    name,
    `${shortDigest(runs)}${moved ? " (the tag has moved)" : ""}`,
    `${first.join(", ")}${more > 0 ? ` (+${more})` : ""}`,
  ];
};
