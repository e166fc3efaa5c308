import { compareText } from "../../text/compare-text";
import type { Digest } from "../oci/digest";
import { type ImageReference, parseImageId, parseImageReference } from "./image-reference";

/** A container of a pod, or of a template of pods. */
export interface Container {
  /** Who needs it: `default/web-7c9f`, `cronjob default/backup`, `deployment default/web`. */
  workload: string;
  image: string;
  /** As the node tells it; null where it has not started one, and of a template. */
  imageId: string | null;
}

/** What a cluster has told of what runs in it. */
export interface Workloads {
  containers: readonly Container[];
  /** Objects that could not be read: what they run is unknown. */
  unreadable: number;
}

/** An image that workloads need from one registry. */
export interface UsedImage {
  repository: string;
  /** What they ask for: a tag, or a digest. */
  tag: string | null;
  digest: Digest | null;
  /** The manifest that runs, where a node names it. */
  running: Digest | null;
  /** Where a node names no manifest: what it calls the image, which may be the digest of its config. */
  imageId: Digest | null;
  /** Sorted. */
  workloads: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** Lists of a pod, and where their status is. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ */
const LISTS = [
  ["containers", "containerStatuses"],
  ["initContainers", "initContainerStatuses"],
  ["ephemeralContainers", "ephemeralContainerStatuses"],
] as const;

/** It has ended, and is never started again. */
const ENDED: readonly unknown[] = ["Succeeded", "Failed"];

/** Where what makes pods has its template. Scaled down, or suspended, it has no pod that would name its images. */
const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map([
  ["CronJob", ["jobTemplate", "spec", "template", "spec"]],
  ["DaemonSet", ["template", "spec"]],
  ["Deployment", ["template", "spec"]],
  ["ReplicaSet", ["template", "spec"]],
  ["StatefulSet", ["template", "spec"]],
]);

/** What came is no list of pods, or of what makes them. */
export class NoWorkloads extends Error {
  override readonly name = "NoWorkloads";
}

/** A list that may be left out; null where there is something else. */
const listIn = (fields: Json, name: string): readonly unknown[] | null => {
  const list = fields[name] ?? [];
  return Array.isArray(list) ? list : null;
};

/** The containers of a pod, or of the template of one; null where it cannot be read. */
const containersOf = (workload: string, spec: unknown, status: unknown): Container[] | null => {
  if (!isJson(spec)) return null;
  const known = isJson(status) ? status : {};
  const found: Container[] = [];
  for (const [list, statuses] of LISTS) {
    const containers = listIn(spec, list);
    const told = listIn(known, statuses);
    if (containers === null || told === null) return null;
    const ids = new Map(told.filter(isJson).map(({ name, imageID }) => [name, imageID]));
    for (const container of containers) {
      if (!isJson(container) || typeof container.image !== "string") return null;
      const id = ids.get(container.name);
      found.push({ workload, image: container.image, imageId: typeof id === "string" && id !== "" ? id : null });
    }
  }
  return found;
};

const nameOf = (metadata: unknown): string | null => {
  if (!isJson(metadata)) return null;
  const { namespace, name } = metadata;
  return typeof namespace === "string" && typeof name === "string" ? `${namespace}/${name}` : null;
};

/** Of one object; none of a pod that has ended, null where it cannot be read. */
const containersIn = (object: unknown, kind: unknown): Container[] | null => {
  if (!isJson(object)) return null;
  const name = nameOf(object.metadata);
  if (name === null) return null;
  const of = String(object.kind ?? kind);
  if (of === "Pod") {
    if (isJson(object.status) && ENDED.includes(object.status.phase)) return [];
    return containersOf(name, object.spec, object.status);
  }
  const spec = TEMPLATES.get(of)?.reduce<unknown>((at, step) => (isJson(at) ? at[step] : undefined), object.spec);
  return containersOf(`${of.toLowerCase()} ${name}`, spec, undefined);
};

/**
 * Reads pods and what makes them, as the API or `kubectl get --output json` lists them. The items of the API's own lists do
 * not say what they are: a PodList does.
 *
 * @throws NoWorkloads where it is no list of them
 */
export const readWorkloads = (list: unknown): Workloads => {
  const items = isJson(list) ? list.items : undefined;
  if (!isJson(list) || !Array.isArray(items)) throw new NoWorkloads("it is no list of pods");
  const read = items.map((item) => containersIn(item, String(list.kind).replace(/List$/, "")));
  return {
    containers: read.flatMap((containers) => containers ?? []),
    unreadable: read.filter((containers) => containers === null).length,
  };
};

/** What several lists tell. */
export const together = (all: readonly Workloads[]): Workloads => ({
  containers: all.flatMap(({ containers }) => containers),
  unreadable: all.reduce((sum, { unreadable }) => sum + unreadable, 0),
});

/**
 * The images that workloads need from a registry, each once: by what is asked for and what runs.
 *
 * @param names by which image references know the registry, as registryName gives them
 */
export const imagesFrom = ({ containers }: Workloads, names: readonly string[]): UsedImage[] => {
  const images = new Map<string, { image: UsedImage; workloads: Set<string> }>();
  for (const { workload, image: text, imageId } of containers) {
    const reference = parseImageReference(text);
    if (reference === null || !names.includes(reference.host)) continue;
    const image = usedImage(reference, imageId);
    const key = JSON.stringify(image);
    const known = images.get(key) ?? { image, workloads: new Set() };
    known.workloads.add(workload);
    images.set(key, known);
  }
  return [...images]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, { image, workloads }]) => ({ ...image, workloads: [...workloads].sort(compareText) }));
};

const usedImage = ({ repository, tag, digest }: ImageReference, imageId: string | null): UsedImage => {
  const runs = parseImageId(imageId);
  const running = runs?.isManifest === true ? runs.digest : null;
  return { repository, tag, digest, running, imageId: running === null ? (runs?.digest ?? null) : null, workloads: [] };
};
