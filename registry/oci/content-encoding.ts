import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

/**
 * The decoder for a body with this Content-Encoding (RFC 9110, section 8.4.1); "identity" if there is nothing to decode,
 * null if the encoding is not supported.
 */
export const decoderOf = (encoding: string | string[]): Transform | "identity" | null => {
  const [name, ...others] = [encoding]
    .flat()
    .join(",")
    .toLowerCase()
    .split(",")
    .map((each) => each.trim());
  if (others.length > 0) return null;
  switch (name) {
    case "":
    case "identity":
      return "identity";
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
    default:
      return null;
  }
};
