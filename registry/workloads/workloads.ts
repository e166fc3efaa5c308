import { compareText } from "../../text/compare-text";
import { isJsonObject, type JsonObject } from "../../text/json-object";
import type { Digest } from "../oci/digest";
import { type ImageReference, parseImageId, parseImageReference } from "./image-reference";

/** A container of a pod, or of a pod template. */
export interface Container {
  /** The workload that needs it: `default/web-7c9f`, `cronjob default/backup`, `deployment default/web`. */
  workload: string;
  image: string;
  /** As reported by the node; null if it has not been started, and for a template. */
  imageId: string | null;
}

/** The workloads that a cluster reported. */
export interface Workloads {
  containers: readonly Container[];
  /** Objects that could not be read, so that their images are unknown. */
  unreadable: number;
}

/** An image that workloads need from one registry. */
export interface UsedImage {
  repository: string;
  /** What they request: a tag, or a digest. */
  tag: string | null;
  digest: Digest | null;
  /** The running manifest, if a node names it. */
  running: Digest | null;
  /** If a node names no manifest: its id of the image, which may be the digest of its config. */
  imageId: Digest | null;
  /** Sorted. */
  workloads: readonly string[];
}

/**
 * The lists of a pod's containers and statuses.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
const LISTS = [
  ["containers", "containerStatuses"],
  ["initContainers", "initContainerStatuses"],
  ["ephemeralContainers", "ephemeralContainerStatuses"],
] as const;

/** Phases of pods that have ended and are never restarted. */
const ENDED: readonly unknown[] = ["Succeeded", "Failed"];

/** The path of the pod template in each kind of controller. Scaled down or suspended, it has no pod that names its images. */
const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map([
  ["CronJob", ["jobTemplate", "spec", "template", "spec"]],
  ["DaemonSet", ["template", "spec"]],
  ["Deployment", ["template", "spec"]],
  ["ReplicaSet", ["template", "spec"]],
  ["StatefulSet", ["template", "spec"]],
]);

/** The input is not a list of pods or of controllers. */
export class NoWorkloads extends Error {
  override readonly name = "NoWorkloads";
}

/** A list that may be absent; null if the field is something else. */
const listIn = (fields: JsonObject, name: string): readonly unknown[] | null => {
  const list = fields[name] ?? [];
  return Array.isArray(list) ? list : null;
};

/** The containers of a pod or a pod template; null if it cannot be read. */
const containersOf = (workload: string, spec: unknown, status: unknown): Container[] | null => {
  if (!isJsonObject(spec)) return null;
  const known = isJsonObject(status) ? status : {};
  const found: Container[] = [];
  for (const [list, statuses] of LISTS) {
    const containers = listIn(spec, list);
    const told = listIn(known, statuses);
    if (containers === null || told === null) return null;
    const ids = new Map(told.filter(isJsonObject).map(({ name, imageID }) => [name, imageID]));
    for (const container of containers) {
      if (!isJsonObject(container) || typeof container.image !== "string") return null;
      const id = ids.get(container.name);
      found.push({ workload, image: container.image, imageId: typeof id === "string" && id !== "" ? id : null });
    }
  }
  return found;
};

const nameOf = (metadata: unknown): string | null => {
  if (!isJsonObject(metadata)) return null;
  const { namespace, name } = metadata;
  return typeof namespace === "string" && typeof name === "string" ? `${namespace}/${name}` : null;
};

/** The containers of one object; empty for a pod that has ended, null if it cannot be read. */
const containersIn = (object: unknown, kind: unknown): Container[] | null => {
  if (!isJsonObject(object)) return null;
  const name = nameOf(object.metadata);
  if (name === null) return null;
  const of = String(object.kind ?? kind);
  if (of === "Pod") {
    if (isJsonObject(object.status) && ENDED.includes(object.status.phase)) return [];
    return containersOf(name, object.spec, object.status);
  }
  const spec = TEMPLATES.get(of)?.reduce<unknown>((at, step) => (isJsonObject(at) ? at[step] : undefined), object.spec);
  return containersOf(`${of.toLowerCase()} ${name}`, spec, undefined);
};

/**
 * Reads pods and their controllers from a list of the API or of `kubectl get --output json`. Items in the API's own lists have no
 * kind; it follows from that of the list, such as PodList.
 *
 * @throws NoWorkloads if it is not such a list
 */
export const readWorkloads = (list: unknown): Workloads => {
  const items = isJsonObject(list) ? list.items : undefined;
  if (!isJsonObject(list) || !Array.isArray(items)) throw new NoWorkloads("it is no list of pods");
  const read = items.map((item) => containersIn(item, String(list.kind).replace(/List$/, "")));
  return {
    containers: read.flatMap((containers) => containers ?? []),
    unreadable: read.filter((containers) => containers === null).length,
  };
};

/** The union of several lists. */
export const together = (all: readonly Workloads[]): Workloads => ({
  containers: all.flatMap(({ containers }) => containers),
  unreadable: all.reduce((sum, { unreadable }) => sum + unreadable, 0),
});

/**
 * The images that workloads need from a registry, each once: those requested and those running.
 *
 * @param names under which image references know the registry, as returned by registryName
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
