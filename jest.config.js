const { availableParallelism } = require("node:os");

/** Packages of many files that nearly every test loads. */
const BUNDLED = `(${[
  "zod/index\\.cjs",
  "undici/index\\.js",
  "yaml/dist/index\\.js",
  "cdktf/lib/index\\.js",
  "@cdktf/provider-(kubernetes|helm)/lib/[a-z0-9-]+/index\\.js",
  "@grafana/grafana-foundation-sdk/dist/[a-z0-9]+/index\\.js",
].join("|")})$`;

/** @type {import("jest").Config} */
const common = {
  testEnvironment: "<rootDir>/test/environment.js",
  transformIgnorePatterns: [`/node_modules/(?!${BUNDLED})`],
  transform: {
    [`/node_modules/${BUNDLED}`]: "<rootDir>/test/bundled-package.js",
    "\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } },
    ],
  },
  moduleNameMapper: { "^esbuild$": "<rootDir>/test/bundler.js" },
  moduleFileExtensions: ["ts", "js", "json"],
  testPathIgnorePatterns: ["/node_modules/", "/cdktf\\.out/", "/dist/", "<rootDir>/lib/", "/\\.cache/"],
  modulePathIgnorePatterns: ["/cdktf\\.out/", "/dist/", "<rootDir>/lib/", "/\\.cache/", "/tools/cdktf/"],
};

/** Quick tests need nothing but Node; lab tests use the real components and skip, with the reason, where one is missing. */
module.exports = {
  // More workers than cores: for two fifths of its time a test waits, for a process, a clock or a socket. Fewer beside the
  // lab, whose components need the cores too. A share above 100% would be read as so many workers.
  maxWorkers: Math.ceil((process.argv.includes("quick") ? 2 : 1.5) * availableParallelism()),
  // A machine that is busy otherwise makes no test fail.
  testTimeout: 60_000,
  reporters: ["default", "<rootDir>/test/reporter.js"],
  projects: [
    {
      ...common,
      displayName: "quick",
      testMatch: ["<rootDir>/test/**/*.test.ts"],
      testPathIgnorePatterns: [...common.testPathIgnorePatterns, "/test/lab/"],
    },
    {
      ...common,
      displayName: "lab",
      testMatch: ["<rootDir>/test/lab/**/*.test.ts"],
      globalSetup: "<rootDir>/test/lab/build.ts",
    },
  ],
};
