import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { byteOf, fileName } from "../../text/file-name";
import { printable } from "../../text/printable";
import { shellWord } from "../../text/shell-word";

const bytesOf = (name: string): Buffer =>
  Buffer.concat(
    Array.from(name, (character) => {
      const byte = byteOf(character);
      return byte === null ? Buffer.from(character) : Buffer.of(byte);
    }),
  );

test("no byte of a name is lost, and what is UTF-8 is read as it is", () => {
  const piece = fc.oneof(fc.uint8Array({ minLength: 1 }), fc.string({ unit: "grapheme" }).map(Buffer.from));
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const bytes = Buffer.concat(pieces);
      expect(bytesOf(fileName(bytes))).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(fileName(Buffer.from(text))).toBe(text);
    }),
  );
});

test("a shell gets the bytes, and a terminal is shown them", () => {
  const names = [Buffer.from("caf\xe9", "latin1"), Buffer.from("\ufffd\xe9'\\\n"), Buffer.of(0xff, 0x31, 0xf0, 0x9f)];
  const words = names.map((name) => shellWord(fileName(name))).join(" ");
  const said = execFileSync("bash", ["-c", `printf '%s\\0' ${words}`]);
  expect(said).toEqual(Buffer.concat(names.flatMap((name) => [name, Buffer.of(0)])));
  expect(printable(fileName(names[0] as Buffer))).toBe("caf\\xe9");
});
