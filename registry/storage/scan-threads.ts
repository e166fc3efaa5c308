import { realpathSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type ScanResult, type ScanTask, ScanTaskRunner } from "./scan-task";

/** Does the tasks of a scan. */
export interface ScanRunner {
  /** @returns a result for each task, in their order */
  run(tasks: readonly ScanTask[]): Promise<ScanResult[]>;
  close(): Promise<void>;
}

const SCAN_THREAD = "registry-warden-scan";

/** Whether this thread was started by a ScanThreads; the program then only calls serveScan. */
export const isScanThread: boolean = !isMainThread && workerData === SCAN_THREAD;

/** The other end of ScanThreads. */
export const serveScan = (): void => {
  const runner = new ScanTaskRunner();
  parentPort?.on("message", (work: Work) => parentPort?.postMessage(takePart(runner, work)));
};

/** Tasks that several threads do together. */
interface Work {
  tasks: readonly ScanTask[];
  /** How many were taken: one number, in memory that the threads share. */
  taken: Int32Array;
}

type Done = { at: number; result: ScanResult };

/** Does tasks until all are taken. Nobody hands them out, so no thread waits for another that is busy. */
const takePart = (runner: ScanTaskRunner, { tasks, taken }: Work): Done[] => {
  const done: Done[] = [];
  for (;;) {
    const at = Atomics.add(taken, 0, 1);
    const task = tasks[at];
    if (task === undefined) return done;
    done.push({ at, result: runner.run(task) });
  }
};

/**
 * Reads with several threads, this one among them. The program is one file wherever it runs, so a thread runs that same
 * file, which must call serveScan where isScanThread says so.
 */
export class ScanThreads implements ScanRunner {
  readonly #runner = new ScanTaskRunner();
  readonly #others: Thread[];

  /** @param program the program's file; default: the one this process runs */
  constructor(count: number, program?: string) {
    this.#others = Array.from({ length: count - 1 }, () => new Thread(program ?? realpathSync(process.argv[1] ?? "")));
  }

  async run(tasks: readonly ScanTask[]): Promise<ScanResult[]> {
    const work: Work = { tasks, taken: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) };
    const theirs = Promise.all(this.#others.map((thread) => thread.takePart(work)));
    const done = [...takePart(this.#runner, work), ...(await theirs).flat()];
    return done.sort((a, b) => a.at - b.at).map(({ result }) => result);
  }

  async close(): Promise<void> {
    await Promise.all(this.#others.map((thread) => thread.close()));
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #failed: Promise<never>;

  constructor(program: string) {
    // In a checkout the program is TypeScript, and a thread does not inherit what lets this one run it.
    const execArgv = program.endsWith(".ts") ? ["--require", require.resolve("tsx/cjs")] : undefined;
    this.#worker = new Worker(program, { workerData: SCAN_THREAD, execArgv });
    this.#failed = new Promise((_, reject) => this.#worker.once("error", reject));
    // Whoever waits for it is told.
    this.#failed.catch(() => {});
  }

  takePart(work: Work): Promise<Done[]> {
    const done = new Promise<Done[]>((resolve) => this.#worker.once("message", resolve));
    this.#worker.postMessage(work);
    return Promise.race([done, this.#failed]);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
