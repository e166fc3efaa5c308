import { parse } from "yaml";
import { registryConfiguration } from "../../hosts/registry-configuration";
import { referenceSite } from "../sites";

const { registry } = referenceSite;
const configurationOf = (name: string) => {
  const service = registry.services.find((each) => each.name === name);
  if (service === undefined) throw new Error(`the reference site has no service ${name}`);
  return parse(registryConfiguration(service));
};

test("the private registry asks for credentials, lets delete, and purges uploads after a week", () => {
  expect(configurationOf("private")).toMatchObject({
    auth: { htpasswd: { realm: "registry.viktorbarzin.me", path: "/auth/htpasswd" } },
    storage: {
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: true, age: "168h" } },
    },
  });
});

test("the private registry has no cache of blob descriptors, which would announce a blob that is lost", () => {
  expect(configurationOf("private").storage.cache).toBeUndefined();
  expect(configurationOf("ghcr").storage.cache).toEqual({ blobdescriptor: "inmemory" });
});

test("a pull-through cache asks its upstream and lets nobody delete", () => {
  const { proxy, storage, auth } = configurationOf("quay");
  expect(proxy).toEqual({ remoteurl: "https://quay.io" });
  expect(storage.delete).toBeUndefined();
  expect(auth).toBeUndefined();
});

test("only a service with a metrics port opens its debug address", () => {
  expect(configurationOf("dockerhub").http.debug).toEqual({
    addr: ":5001",
    prometheus: { enabled: true, path: "/metrics" },
  });
  expect(configurationOf("ghcr").http.debug).toBeUndefined();
});

test("no credential of an upstream is in a configuration", () => {
  for (const service of registry.services) expect(registryConfiguration(service)).not.toMatch(/username|password:/);
});
