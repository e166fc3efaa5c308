/**
 * Only undici's connections. Its index also loads fetch, cookies, caches and mocks: three quarters of the probe's bundle,
 * and of the time until its first request.
 */
export const Client: typeof import("undici").Client = require("undici/lib/dispatcher/client");
export const buildConnector: typeof import("undici").buildConnector = require("undici/lib/core/connect");
