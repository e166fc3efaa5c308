/**
 * The connections of undici alone. Its index loads fetch, cookies, caches and mocks as well: three quarters of the probe's
 * bundle, and of the time until its first request.
 */
export const Agent: typeof import("undici").Agent = require("undici/lib/dispatcher/agent");
export const buildConnector: typeof import("undici").buildConnector = require("undici/lib/core/connect");
