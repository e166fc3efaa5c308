import { EventEmitter } from "node:events";
import fc from "fast-check";
import { print, printError, printJson, printJsonList, printText } from "../../cli/output";
import { printableJson } from "../../text/printable";

const EVIL = "\u001b[2J\u202e";

/** What a function writes to the stream while it runs. */
const written = async (run: () => unknown, stream: NodeJS.WriteStream = process.stdout): Promise<string> => {
  let text = "";
  const spy = jest.spyOn(stream, "write").mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    await run();
  } finally {
    spy.mockRestore();
  }
  return text;
};

test("everything that is printed has terminal control characters escaped", async () => {
  expect(await written(() => print([EVIL, "a\nb"]))).toBe("\\x1b[2J\\u{202e}\na\\x0ab\n");
  expect(await written(() => printText(`${EVIL}\n\t`))).toBe("\\x1b[2J\\u{202e}\n\t");
  expect(await written(() => printError(EVIL), process.stderr)).toBe("\\x1b[2J\\u{202e}\n");
  expect(await written(() => printJson({ name: EVIL }))).toContain('"\\u001b[2J\\u202e"');
  expect(await written(() => printJsonList([{ name: EVIL }]))).toContain('"\\u001b[2J\\u202e"');
});

test("a document is what JSON.stringify writes, with its version", async () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constant(undefined),
    fc.constant([undefined]),
    fc.constant(new URL("http://a/")),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string({ unit: "grapheme-ascii" }), value), async (document) => {
      const whole = JSON.stringify({ version: 1, ...document }, null, 2);
      expect(await written(() => printJson(document))).toBe(`${printableJson(whole)}\n`);
    }),
  );
  expect(await written(() => printJson({ a: [{ b: 1 }], c: { d: [] } }))).toBe(
    `${JSON.stringify({ version: 1, a: [{ b: 1 }], c: { d: [] } }, null, 2)}\n`,
  );
  expect(JSON.parse(await written(() => printJsonList([{ a: 1 }])))).toEqual([{ version: 1, a: 1 }]);
});

test("printing a large document waits for a slow reader, but not for one that has gone", async () => {
  const failures = Array.from({ length: 4000 }, (_, at) => ({ at, detail: "x".repeat(100) }));
  const chunks: string[] = [];
  const stream = Object.assign(new EventEmitter(), {
    errored: null as Error | null,
    write: (chunk: string) => {
      chunks.push(chunk);
      setImmediate(() => {
        if (chunks.length < 3) return stream.emit("drain");
        stream.errored = new Error("EPIPE");
        return stream.emit("error", stream.errored);
      });
      return false;
    },
  });
  // As the program does.
  stream.on("error", () => {});
  const spy = jest.spyOn(process, "stdout", "get").mockReturnValue(stream as unknown as typeof process.stdout);
  try {
    await printJson({ images: { broken: failures } });
  } finally {
    spy.mockRestore();
  }
  expect(chunks.length).toBeGreaterThan(4);
  expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(70_000);
  expect(JSON.parse(chunks.join(""))).toEqual({ version: 1, images: { broken: failures } });
});
