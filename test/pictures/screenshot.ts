import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const PICTURES = resolve(__dirname, "../../docs/pictures");

/**
 * Takes a picture of a page, into docs/pictures.
 *
 * @param browser Debian's chromium-headless-shell
 * @param html the page; it loads nothing
 * @param name of the file, without its extension
 */
export const screenshot = (browser: string, html: string, name: string, width: number, height: number): void => {
  const directory = mkdtempSync(join(tmpdir(), "picture-"));
  const page = join(directory, "page.html");
  writeFileSync(page, `<!doctype html><meta charset="utf-8">${html}`);
  execFileSync(
    browser,
    [
      "--no-sandbox",
      "--disable-gpu",
      "--hide-scrollbars",
      `--window-size=${width},${height}`,
      `--screenshot=${join(PICTURES, `${name}.png`)}`,
      `file://${page}`,
    ],
    { stdio: "ignore" },
  );
  rmSync(directory, { recursive: true });
};
