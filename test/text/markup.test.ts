import * as fc from "fast-check";
import { markup } from "../../text/markup";

const CHARACTERS: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };

test("markup can be read back, but for what XML cannot say", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), (text) => {
      const back = markup(text).replace(/&[^;]*;/g, (entity) => CHARACTERS[entity] ?? "");
      expect(back).toBe(text);
      expect(markup(text)).not.toMatch(/[<>"']/);
    }),
  );
});
