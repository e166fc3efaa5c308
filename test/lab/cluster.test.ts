import { describeWith } from "./components";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { waitFor } from "./process";

describeWith(["etcd", "kube-apiserver", "kube-controller-manager"], "startKubernetes", () => {
  let cluster: KubernetesCluster;
  beforeAll(async () => {
    cluster = await startKubernetes();
  }, 120_000);
  afterAll(() => cluster?.stop());

  test("its controllers make the pod of a job", async () => {
    await cluster.request("POST", "/api/v1/namespaces", { metadata: { name: "lab" } });
    const job = await cluster.request("POST", "/apis/batch/v1/namespaces/lab/jobs", {
      metadata: { name: "once" },
      spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "one", image: "none" }] } } },
    });
    expect(job.status).toBe(201);
    await waitFor("a pod", async () => {
      const { body } = await cluster.request("GET", "/api/v1/namespaces/lab/pods");
      return body.items.length === 1;
    });
  });

  test("refuses what it does not know, with the reason", async () => {
    const answer = await cluster.request("POST", "/api/v1/namespaces?fieldValidation=Strict", {
      metadata: { name: "strict" },
      spec: { colour: "red" },
    });
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain('unknown field "spec.colour"');
  });
});
