import { main } from "../../cli/warden";

export interface Run {
  code: number;
  out: string;
  err: string;
}

/** Runs the program in this process: what it prints, and its exit code. */
export async function runWarden(...args: string[]): Promise<Run> {
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
    return { code: await main(args), ...written };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}
