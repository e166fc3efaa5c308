import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { drain } from "../../../registry/oci/drain";

test("every item is handled once, those pushed meanwhile too, and never too many at once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(5), { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      async (items, concurrency) => {
        const handled: number[] = [];
        let active = 0;
        let most = 0;
        const stack = [...items];
        await drain(stack, concurrency, async (item) => {
          most = Math.max(most, ++active);
          if (item > 0) stack.push(item - 1);
          for (let turns = 0; turns <= item; turns++) await turn();
          handled.push(item);
          active--;
        });
        const expected = items.flatMap((item) => Array.from({ length: item + 1 }, (_, less) => item - less));
        expect(handled.sort()).toEqual(expected.sort());
        expect(most).toBeLessThanOrEqual(concurrency);
        expect(most).toBeGreaterThanOrEqual(Math.min(concurrency, items.length));
      },
    ),
  );
});

test("after an error nothing more is begun, and what is under way ends first", async () => {
  const ended: number[] = [];
  const work = drain([1, 2, 3, 4], 2, async (item) => {
    if (item === 4) throw new Error("four");
    await turn();
    ended.push(item);
  });
  await expect(work).rejects.toThrow("four");
  expect(ended).toEqual([3]);
});
