/**
 * The name of a file is bytes, and these need not be UTF-8. A byte that is none of it stands as half of a surrogate pair,
 * U+DC80 to U+DCFF, which no name has otherwise: https://peps.python.org/pep-0383/.
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

/** The byte that such a half stands for; null for any other character. */
export const byteOf = (character: string): number | null => {
  const code = character.charCodeAt(0);
  return code >= 0xdc80 && code <= 0xdcff ? code - 0xdc00 : null;
};

/** What Node puts in the place of such a byte; a name may have it, too. */
export const REPLACED = "\ufffd";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MOST_BYTES = 4;

/** The character that begins at a byte; null where none does. */
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
