import { Readable } from "node:stream";
import { main } from "../../cli/warden";

export interface WardenRun {
  code: number;
  out: string;
  err: string;
}

/** Runs a program in this process and captures its output and exit code. */
export const captured = async (program: () => number | Promise<number>): Promise<WardenRun> => {
  const written = { out: "", err: "" };
  const into = (name: "out" | "err") => (text: string | Uint8Array) => {
    written[name] += String(text);
    return true;
  };
  const spies = [
    jest.spyOn(process.stdout, "write").mockImplementation(into("out")),
    jest.spyOn(process.stderr, "write").mockImplementation(into("err")),
  ];
  process.exitCode = undefined;
  try {
    return { code: await program(), ...written };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
};

/** Runs warden in this process. */
export const runWarden = (...args: string[]): Promise<WardenRun> => captured(() => main(args));

/** Like runWarden, with a text on standard input. */
export const runWardenWith = async (input: string, ...args: string[]): Promise<WardenRun> => {
  const stdin = jest.spyOn(process, "stdin", "get").mockReturnValue(Readable.from([input]) as typeof process.stdin);
  try {
    return await runWarden(...args);
  } finally {
    stdin.mockRestore();
  }
};
