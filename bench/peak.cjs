const { writeSync } = require("node:fs");
const { isMainThread } = require("node:worker_threads");

// Required into a program, prints the most memory that it took when it ends: "peak <KiB>". Its threads count with it.
if (isMainThread) process.on("exit", () => writeSync(2, `peak ${process.resourceUsage().maxRSS}\n`));
