/**
 * A file name consists of bytes, which need not be UTF-8. A byte that is not part of valid UTF-8 becomes a lone
 * surrogate, U+DC80 to U+DCFF, which occurs in no name otherwise: https://peps.python.org/pep-0383/.
 */
export const fileName = (bytes: Uint8Array): string => {
  let name = "";
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    name += character ?? String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
    at += character === null ? 1 : Buffer.byteLength(character);
  }
  return name;
};

/** The byte represented by such a surrogate; null for any other character. */
export const byteOf = (character: string): number | null => {
  const code = character.charCodeAt(0);
  return code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : null;
};

/** What Node replaces such a byte with; a name may also contain it legitimately. */
export const REPLACED = "\ufffd";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MOST_BYTES = 4;

/** The character that begins at a byte; null if none does. */
const characterAt = (bytes: Uint8Array, at: number): string | null => {
  for (let length = 1; length <= MOST_BYTES; length++) {
    try {
      return UTF8.decode(bytes.subarray(at, at + length));
    } catch {
      // It may be longer.
    }
  }
  return null;
};
