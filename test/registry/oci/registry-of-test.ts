import { FakeRegistry } from "./fake-registry";

const running: FakeRegistry[] = [];

/** Starts a registry that stops at the end of the test. */
export const startFakeRegistry = async (): Promise<FakeRegistry> => {
  const registry = await FakeRegistry.start();
  running.push(registry);
  return registry;
};

afterEach(async () => {
  await Promise.all(running.splice(0).map((registry) => registry.stop()));
});
