import { buildConnector, Client } from "../../../registry/oci/undici";

test("undici still has, by their private paths, the two modules that are loaded instead of its index", async () => {
  const client = new Client("http://127.0.0.1:5000");
  expect([client.dispatch, client.close]).toEqual([expect.any(Function), expect.any(Function)]);
  await client.close();
  expect(buildConnector({})).toEqual(expect.any(Function));
});
