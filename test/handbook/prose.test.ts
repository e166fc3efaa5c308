import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { link, md, plain, sh } from "../../handbook/prose";

test("a value in prose is a code span, and prose stays prose", () => {
  expect(md`ask ${"10.0.0.1"} or ${["a", "b"]}, ${5} times, ${md`not ${"c"}`}`.markdown).toBe(
    "ask `10.0.0.1` or `a`, `b`, 5 times, not `c`",
  );
});

test("free text holds no markup", () => {
  expect(plain("the *box* [x](y) <b> `c`").markdown).toBe("the \\*box\\* \\[x\\](y) \\<b\\> \\`c\\`");
  expect(link("a]b", "services.md").markdown).toBe("[a\\]b](docs:services.md)");
});

test("a value in a command is one word, a list several", () => {
  expect(sh`cat ${"/etc/hosts"} ${["a b", "it's"]} ${5050} ${sh`--quiet`}`.text).toBe(
    "cat /etc/hosts 'a b' 'it'\\''s' 5050 --quiet",
  );
  expect(sh`printf '%s\\n' ${"x"}`.text).toBe("printf '%s\\n' x");
});

test("the shell reads every value as it was", () => {
  const values = fc.array(
    fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0")),
    { minLength: 1, maxLength: 40 },
  );
  fc.assert(
    fc.property(values, (words) => {
      const printed = execFileSync("bash", ["-c", sh`printf '%s\\0' ${words}`.text], {
        encoding: "utf8",
      });
      expect(printed).toBe(`${words.join("\0")}\0`);
    }),
    { numRuns: 20 },
  );
});
