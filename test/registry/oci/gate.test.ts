import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { Gate } from "../../../registry/oci/gate";

jest.mock("node:timers/promises", () => ({
  ...jest.requireActual("node:timers/promises"),
  setTimeout: jest.fn(() => Promise.resolve()),
}));

async function pass(gate: Gate, task: () => Promise<unknown>): Promise<void> {
  try {
    await gate.enter();
    await task();
  } finally {
    gate.leave();
  }
}

/** The pauses that were made, in seconds. */
const pauses = (): number[] =>
  jest.mocked(sleep).mock.calls.map(([milliseconds]) => Math.round(Number(milliseconds) / 1000));
beforeEach(() => jest.mocked(sleep).mockClear());

test("lets in no more than it should, in the order of arrival", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(4), { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      async (tasks, concurrency) => {
        const gate = new Gate({ concurrency });
        const entered: number[] = [];
        let inside = 0;
        await Promise.all(
          tasks.map((turns, at) =>
            pass(gate, async () => {
              entered.push(at);
              expect(++inside).toBeLessThanOrEqual(concurrency);
              for (let each = 0; each < turns; each++) await turn();
              inside--;
            }),
          ),
        );
        expect(entered).toEqual(tasks.map((_, at) => at));
      },
    ),
  );
  expect(pauses()).toEqual([]);
});

test("is left by whoever is told inside that the wait has ended", async () => {
  const gate = new Gate({ concurrency: 1 });
  gate.hold(1_000_000);
  jest.mocked(sleep).mockRejectedValueOnce(new Error("aborted"));
  await expect(pass(gate, turn)).rejects.toThrow("aborted");
  await expect(pass(gate, turn)).resolves.toBeUndefined();
});

test("keeps to a rate: the first at once, the others one by one", async () => {
  // One in a thousand seconds, so that the time the test itself takes is nothing.
  const gate = new Gate({ concurrency: 8, rate: 0.001 });
  await Promise.all(Array.from({ length: 4 }, () => pass(gate, turn)));
  expect(pauses()).toEqual([1000, 2000, 3000]);
});

test("held, lets nobody in before the pause is over", async () => {
  const gate = new Gate({ concurrency: 2 });
  gate.hold(1_000_000);
  gate.hold(5);
  await Promise.all([pass(gate, turn), pass(gate, turn)]);
  expect(pauses()).toEqual([1000, 1000]);
});
