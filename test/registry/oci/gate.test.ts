import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { Gate } from "../../../registry/oci/gate";

jest.mock("node:timers/promises", () => ({
  ...jest.requireActual("node:timers/promises"),
  setTimeout: jest.fn(() => Promise.resolve()),
}));

const pass = async (gate: Gate, task: () => Promise<unknown>): Promise<void> => {
  try {
    await gate.enter();
    await task();
  } finally {
    gate.leave();
  }
};

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
  // One per thousand seconds, so that the duration of the test itself does not matter.
  const gate = new Gate({ concurrency: 8, rate: 0.001 });
  await Promise.all(Array.from({ length: 4 }, () => pass(gate, turn)));
  expect(pauses()).toEqual([1000, 2000, 3000]);
});

test("an entry that may not wait is counted, so that the next one waits longer", async () => {
  const gate = new Gate({ concurrency: 8, rate: 0.001 });
  gate.pass();
  gate.pass();
  expect(pauses()).toEqual([]);
  await pass(gate, turn);
  expect(pauses()).toEqual([2000]);
});

test("held, lets nobody in before the pause is over", async () => {
  const gate = new Gate({ concurrency: 2 });
  gate.hold(1_000_000);
  gate.hold(5);
  await Promise.all([pass(gate, turn), pass(gate, turn)]);
  expect(pauses()).toEqual([1000, 1000]);
});

describe("a gate that is told of refusals", () => {
  /** Makes this many concurrent entries. @returns the gate's rate afterwards */
  const paced = async (gate: Gate, entries: number): Promise<number | null> => {
    await Promise.all(Array.from({ length: entries }, () => pass(gate, turn)));
    return gate.pace;
  };

  test("has no pace before the first, and half of what it was after it", async () => {
    const gate = new Gate({ concurrency: 8 });
    expect(await paced(gate, 40)).toBeNull();
    gate.slowDown();
    expect(gate.pace).toBe(20);
    expect(jest.mocked(sleep)).not.toHaveBeenCalled();
    await paced(gate, 4);
    expect(jest.mocked(sleep)).toHaveBeenCalledTimes(3);
  });

  test.each([
    ["of this second", 0, 40],
    ["of the last second, where that is higher", 1000, 40],
    ["of this second, where the last one had none", 2000, 1],
  ])("halves the rate %s", async (_what, later, pace) => {
    const clock = jest.spyOn(performance, "now");
    try {
      let now = 1_000_000;
      clock.mockImplementation(() => now);
      const gate = new Gate({ concurrency: 8 });
      await paced(gate, later === 0 ? 39 : 40);
      now += later;
      await paced(gate, 1);
      gate.slowDown();
      expect(gate.pace).toBe(pace / 2);
    } finally {
      clock.mockRestore();
    }
  });

  test("counts the refusals of one burst as one", async () => {
    const gate = new Gate({ concurrency: 8 });
    await paced(gate, 40);
    for (let refusal = 0; refusal < 8; refusal++) gate.slowDown();
    expect(gate.pace).toBe(20);
  });

  test("grows again by steps, and forgets the limit where nobody refuses any more", async () => {
    const clock = jest.spyOn(performance, "now");
    try {
      let now = 1_000_000;
      clock.mockImplementation(() => now);
      const gate = new Gate({ concurrency: 8 });
      await paced(gate, 40);
      gate.slowDown();
      now += 1000;
      expect(await paced(gate, 1)).toBe(22);
      expect(await paced(gate, 1)).toBe(22);
      now += 1000;
      gate.slowDown();
      expect(gate.pace).toBe(11);
      now += 20_000;
      expect(await paced(gate, 1)).toBe(11 + 20 * 1.1);
      now += 1_000_000;
      expect(await paced(gate, 1)).toBeNull();
    } finally {
      clock.mockRestore();
    }
  });

  test("never stops, however often it is refused", async () => {
    const clock = jest.spyOn(performance, "now");
    try {
      let now = 1_000_000;
      clock.mockImplementation(() => now);
      const gate = new Gate({ concurrency: 8 });
      for (let refusal = 0; refusal < 50; refusal++) {
        now += 1000;
        gate.slowDown();
      }
      expect(gate.pace).toBe(0.5);
    } finally {
      clock.mockRestore();
    }
  });
});
