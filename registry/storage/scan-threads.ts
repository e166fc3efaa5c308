import { realpathSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type ScanResult, type ScanTask, ScanTaskRunner } from "./scan-task";

/** Runs the tasks of a scan. */
export interface ScanRunner {
  /** @returns a result for each task, in the same order */
  run(tasks: readonly ScanTask[]): Promise<ScanResult[]>;
  close(): Promise<void>;
}

const SCAN_THREAD = "registry-warden-scan";

/** Whether this thread was started by a ScanThreads; the program must then only call serveScan. */
export const isScanThread: boolean = !isMainThread && workerData === SCAN_THREAD;

/** The thread's side of ScanThreads. */
export const serveScan = (): void => {
  const runner = new ScanTaskRunner();
  parentPort?.on("message", (work: Work) => parentPort?.postMessage(takePart(runner, work)));
};

/** Tasks shared by several threads. */
interface Work {
  tasks: readonly ScanTask[];
  /** How many were taken: one number, in shared memory. */
  taken: Int32Array;
}

type Done = { at: number; result: ScanResult };

/** Runs tasks until all are taken. There is no dispatcher, so no thread waits for another that is busy. */
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
 * Scans with several threads, including this one. The program is a single file wherever it runs, so a thread runs that same
 * file, which must call serveScan if isScanThread is true.
 */
export class ScanThreads implements ScanRunner {
  readonly #runner = new ScanTaskRunner();
  readonly #others: Thread[];

  /** @param program the program's file; default: the one that this process runs */
  constructor(count: number, program?: string) {
    this.#others = Array.from({ length: count - 1 }, () => new Thread(program ?? realpathSync(process.argv[1] ?? "")));
  }

  async run(tasks: readonly ScanTask[]): Promise<ScanResult[]> {
    const work: Work = { tasks, taken: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) };
    const theirs = this.#others.map((thread) => thread.takePart(work));
    const own = async () => takePart(this.#runner, work);
    const done = await Promise.all([...theirs, own()]);
    return done
      .flat()
      .sort((a, b) => a.at - b.at)
      .map(({ result }) => result);
  }

  async close(): Promise<void> {
    await Promise.all(this.#others.map((thread) => thread.close()));
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #failed: Promise<never>;

  constructor(program: string) {
    // In a checkout the program is TypeScript, and a thread does not inherit the loader.
    const execArgv = program.endsWith(".ts") ? ["--require", require.resolve("tsx/cjs")] : undefined;
    this.#worker = new Worker(program, { workerData: SCAN_THREAD, execArgv });
    this.#failed = new Promise((_, reject) => this.#worker.once("error", reject));
    // The error is delivered to whoever awaits the promise; this only prevents an unhandled rejection.
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
