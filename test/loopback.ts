import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Server } from "node:net";

/** Has a server listen on a free port of loopback. @returns `127.0.0.1:port` */
export const listenOnLoopback = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

/** Starts an HTTP server on loopback, until it is stopped with the connections that it still has. */
export const serveOnLoopback = async (answer: RequestListener): Promise<{ url: string; stop(): Promise<void> }> => {
  const server = createServer(answer);
  return {
    url: `http://${await listenOnLoopback(server)}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
