import { cpSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(__dirname, "../..");

/** What a fresh checkout does not contain: history, anything installed or generated here, a site of one's own. */
const LEFT_OUT = [
  ".git",
  ".cache",
  "bench/template/node_modules",
  "cdktf.out",
  "dist",
  "lib",
  "node_modules",
  "site.ts",
  "state",
  "tools/cdktf/node_modules",
];

/** Copies this checkout as it is in the working tree, without anything that was installed or generated in it. */
export const copyCheckout = (destination: string): void =>
  cpSync(root, destination, {
    recursive: true,
    // The pinned cdktf-cli would be reinstalled if its lock file were newer.
    preserveTimestamps: true,
    filter: (path) => !LEFT_OUT.includes(relative(root, path)),
  });
