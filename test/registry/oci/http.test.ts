import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import { Transport, type TransportOptions } from "../../../registry/oci/http";
import { listenOnLoopback, serveOnLoopback } from "../../loopback";
import { type SelfSigned, selfSigned } from "./self-signed";

describe("over TLS", () => {
  const ends = new Date("2050-01-02T03:04:05Z");
  const trusted = selfSigned(ends);
  let server: Server;
  let origin: string;
  const listen = async (own: SelfSigned): Promise<void> => {
    server = createServer(own, (_request, response) => response.end("served"));
    origin = `https://${await listenOnLoopback(server)}`;
  };
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const ask = async (options: Partial<TransportOptions> = {}) => {
    const transport = new Transport({ timeout: 5000, ...options });
    try {
      const { body } = await transport.exchange({ origin, path: "/", method: "GET", limit: 100 });
      return { body: `${body}`, expiry: transport.certificateExpiry(new URL(origin)) };
    } finally {
      await transport.close();
    }
  };
  const served = { body: "served", expiry: ends.getTime() / 1000 };

  test("a certificate of an unknown authority is refused, and that of the given one is trusted, with its end", async () => {
    await listen(trusted);
    await expect(ask()).rejects.toMatchObject({ code: "untrusted", status: null });
    await expect(ask({ ca: selfSigned(ends).cert })).rejects.toMatchObject({ code: "untrusted" });
    expect(await ask({ ca: trusted.cert })).toEqual(served);
    expect(await ask({ insecureSkipTlsVerify: true })).toEqual(served);
  });

  test("a certificate that has ended is refused, whoever signed it", async () => {
    const ended = selfSigned(new Date("2020-01-01T00:00:00Z"));
    await listen(ended);
    await expect(ask({ ca: ended.cert })).rejects.toMatchObject({ code: "untrusted" });
  });

  test("a certificate of another name is refused, whoever signed it", async () => {
    await listen(trusted);
    origin = origin.replace("127.0.0.1", "localhost");
    await expect(ask({ ca: trusted.cert })).rejects.toMatchObject({ code: "untrusted" });
  });
});

describe("without TLS", () => {
  let server: Awaited<ReturnType<typeof serveOnLoopback>>;
  let origin: string;
  const listen = async (answer: RequestListener): Promise<void> => {
    server = await serveOnLoopback(answer);
    origin = server.url;
  };
  afterEach(() => server.stop());

  test("a body that is announced as too long is not read at all", async () => {
    await listen((_request, response) => {
      response.writeHead(200, { "content-length": 1e9 }).write("x".repeat(1024));
    });
    const transport = new Transport({ timeout: 5000 });
    const asked = transport.exchange({ origin, path: "/", method: "GET", limit: 2048 });
    await expect(asked).rejects.toMatchObject({ code: "too-large", status: 200, received: 0 });
    await transport.close();
  });

  test("what is told of an exchange has the values of public parameters only", async () => {
    await listen((_request, response) => response.end("x".repeat(10)));
    const lines: string[] = [];
    const transport = new Transport({ timeout: 5000, onExchange: (line) => void lines.push(line) });
    const path = "/v2/_catalog?n=5&X-Amz-Signature=s3cret";
    await transport.exchange({ origin, path, method: "GET", limit: 10 });
    const refused = transport.exchange({ origin, path, method: "GET", limit: 9 });
    await expect(refused).rejects.toMatchObject({ request: `GET ${origin}/v2/_catalog?n=5&X-Amz-Signature=...` });
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toContain(`GET ${origin}/v2/_catalog?n=5&X-Amz-Signature=... 200 `);
    await transport.close();
  });
});
