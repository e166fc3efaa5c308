import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { RegistryError } from "../registry/oci/errors";
import { ask, printError } from "./output";

/** Swallows what readline would echo. */
const silence = () => new Writable({ write: (_chunk, _encoding, done) => done() });

/** Asks twice. The terminal echoes nothing from before the first question until after the last answer. */
const typedTwice = async (): Promise<string> => {
  const terminal = createInterface({ input: process.stdin, output: silence(), terminal: true });
  const lines = terminal[Symbol.asyncIterator]();
  const answerTo = async (question: string): Promise<string> => {
    ask(question);
    const { value, done } = await lines.next();
    printError("");
    if (done) throw new RegistryError("bad-input", "no password was given", "run it again");
    return value;
  };
  try {
    const password = await answerTo("password: ");
    if ((await answerTo("again: ")) === password) return password;
  } finally {
    terminal.close();
  }
  throw new RegistryError("bad-input", "the two passwords differ", "run it again");
};

/**
 * A new password: standard input without its trailing line feed, or typed on a terminal without echo.
 *
 * @throws RegistryError `bad-input` if there is none
 */
export const newPassword = async (): Promise<string> =>
  process.stdin.isTTY ? typedTwice() : (await text(process.stdin)).replace(/\r?\n$/, "");
