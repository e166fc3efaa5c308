import fc from "fast-check";
import { sha256 } from "../../../registry/oci/digest";
import { imagesFrom, NoWorkloads, readWorkloads, together } from "../../../registry/workloads/workloads";

const HOST = "registry.example.org:5000";
const [D1, D2, CONFIG] = ["one", "two", "config"].map(sha256);

/** A pod as the API lists it: each container's image, and what its node runs. */
const pod = (name: string, containers: [image: string, imageID?: string][], more: object = {}) => ({
  metadata: { namespace: "default", name },
  spec: { containers: containers.map(([image], at) => ({ name: `c${at}`, image })) },
  status: {
    phase: "Running",
    containerStatuses: containers.map(([, imageID = ""], at) => ({ name: `c${at}`, image: "sha256:abc", imageID })),
    ...more,
  },
});

const cronJob = (name: string, image: string) => ({
  kind: "CronJob",
  metadata: { namespace: "default", name },
  spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: "c", image }] } } } } },
});

const list = (...items: unknown[]) => ({ kind: "PodList", items });
const imagesOf = (...items: unknown[]) => imagesFrom(readWorkloads(list(...items)), [HOST]);

test("every image of the registry, each once by what is asked for and what runs", () => {
  const old = `${HOST}/app@${D1}`;
  const images = imagesOf(
    pod("web-1", [[`${HOST}/app:v1`, old]]),
    pod("web-2", [[`${HOST}/app:v1`, old]]),
    pod("web-3", [
      [`${HOST}/app:v1`, `${HOST}/app@${D2}`],
      ["nginx", `docker.io/library/nginx@${D1}`],
    ]),
    pod("pinned", [[`${HOST}/app@${D2}`]]),
    cronJob("backup", `${HOST}/backup`),
  );
  const image = { repository: "app", tag: "v1", digest: null, imageId: null };
  expect(images).toEqual([
    ...[
      { ...image, running: D1, workloads: ["default/web-1", "default/web-2"] },
      { ...image, running: D2, workloads: ["default/web-3"] },
    ].sort((a, b) => ((a.running ?? "") < (b.running ?? "") ? -1 : 1)),
    { ...image, tag: null, digest: D2, running: null, workloads: ["default/pinned"] },
    { ...image, repository: "backup", tag: "latest", running: null, workloads: ["cronjob default/backup"] },
  ]);
});

test("init and ephemeral containers count, in every pod that has not ended", () => {
  const images = imagesOf({
    metadata: { namespace: "default", name: "web" },
    spec: {
      containers: [{ name: "app", image: `${HOST}/app` }],
      initContainers: [{ name: "init", image: `${HOST}/init` }],
      ephemeralContainers: [{ name: "debug", image: `${HOST}/debug` }],
    },
    status: {
      phase: "Pending",
      initContainerStatuses: [{ name: "init", imageID: `${HOST}/init@${D1}` }],
      ephemeralContainerStatuses: [{ name: "debug", imageID: `${HOST}/debug@${D2}` }],
    },
  });
  expect(images.map(({ repository, running }) => [repository, running])).toEqual([
    ["app", null],
    ["debug", D2],
    ["init", D1],
  ]);
  for (const phase of ["Succeeded", "Failed"]) expect(imagesOf(pod("job", [[`${HOST}/app`]], { phase }))).toEqual([]);
});

const scaled = (kind: string, name: string, image: string, replicas = 0) => ({
  kind,
  metadata: { namespace: "default", name },
  spec: { replicas, template: { spec: { containers: [{ name: "c", image }] } } },
});

test.each(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])(
  "a %s names its images although it has no pod, in its own list too",
  (kind) => {
    const object = scaled(kind, "web", `${HOST}/app:v1`);
    const named = [{ tag: "v1", running: null, workloads: [`${kind.toLowerCase()} default/web`] }];
    expect(imagesOf(object)).toMatchObject(named);
    const { kind: _, ...bare } = object;
    expect(imagesFrom(readWorkloads({ kind: `${kind}List`, items: [bare] }), [HOST])).toMatchObject(named);
  },
);

test("of a suspended CronJob the images count as of any other", () => {
  const job = cronJob("backup", `${HOST}/backup`);
  expect(imagesOf({ ...job, spec: { ...job.spec, suspend: true } })).toMatchObject([{ repository: "backup" }]);
});

test("a node that names no manifest is told as it is", () => {
  expect(imagesOf(pod("web", [[`${HOST}/app`, `docker://${CONFIG}`]]))).toMatchObject([
    { running: null, imageId: CONFIG },
  ]);
});

test("by every name of the registry, and by no other", () => {
  const workloads = readWorkloads(
    list(pod("web", [["10.0.20.10:5000/app"], ["registry.example.org/app"], [`EVIL.example/${HOST}/app`]])),
  );
  expect(imagesFrom(workloads, [HOST, "10.0.20.10:5000"]).map(({ workloads }) => workloads)).toEqual([["default/web"]]);
});

test.each([null, [], "text", {}, { items: {} }, { kind: "PodList", items: null }])(
  "anything but a list is refused: %j",
  (json) => {
    expect(() => readWorkloads(json)).toThrow(NoWorkloads);
  },
);

test.each<[what: string, object: unknown]>([
  ["nothing", null],
  ["no name", { spec: { containers: [] } }],
  ["a name that is none", { metadata: { namespace: 1, name: {} }, spec: { containers: [] } }],
  ["no spec", { metadata: pod("a", []).metadata }],
  ["containers that are no list", { ...pod("a", []), spec: { containers: { length: 2 } } }],
  ["a container that is none", { ...pod("a", []), spec: { containers: [null] } }],
  ["an image that is no text", { ...pod("a", []), spec: { containers: [{ name: "c", image: { toString: 1 } }] } }],
  ["statuses that are no list", { ...pod("a", [["nginx"]]), status: { containerStatuses: "all" } }],
  ["another kind", { ...pod("a", []), kind: "Secret" }],
  ["no kind that makes pods", { ...scaled("Service", "a", "x"), kind: "constructor" }],
  ["a Deployment without a template", { ...scaled("Deployment", "a", "x"), spec: {} }],
  ["a CronJob without a template", { ...cronJob("a", "x"), spec: { jobTemplate: null } }],
])("an object with %s is counted, and hides no other", (_, object) => {
  const workloads = readWorkloads(list(object, pod("web", [[`${HOST}/app`]])));
  expect([workloads.unreadable, workloads.containers.length]).toEqual([1, 1]);
});

test("whatever a cluster says is read, or counted as unreadable", () => {
  fc.assert(
    fc.property(fc.array(fc.anything()), (items) => {
      const workloads = readWorkloads(list(...items));
      expect(workloads.unreadable + workloads.containers.length).toBeGreaterThanOrEqual(0);
      imagesFrom(workloads, [HOST]);
    }),
  );
});

test("lists of several kinds are read together", () => {
  const pods = readWorkloads(list(pod("web", [[`${HOST}/app`]]), null));
  const { kind: _, ...job } = cronJob("backup", `${HOST}/app`);
  const cronJobs = readWorkloads({ kind: "CronJobList", items: [job] });
  expect(together([pods, cronJobs])).toEqual({
    containers: [...pods.containers, ...cronJobs.containers],
    unreadable: 1,
  });
});
