import { realpathSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type ScanResult, type ScanTask, ScanTaskRunner } from "./scan-task";

/** Does the tasks of a scan. */
export interface ScanRunner {
  run(task: ScanTask): Promise<ScanResult>;
  close(): Promise<void>;
}

/** In this thread, one after the other. */
export function inThisThread(): ScanRunner {
  const runner = new ScanTaskRunner();
  return { run: async (task) => runner.run(task), close: async () => {} };
}

const SCAN_THREAD = "registry-warden-scan";

/** Whether this thread was started by a ScanThreads; the program then only calls serveScan. */
export const isScanThread: boolean = !isMainThread && workerData === SCAN_THREAD;

/** The other end of ScanThreads. */
export function serveScan(): void {
  const runner = new ScanTaskRunner();
  parentPort?.on("message", (task: ScanTask) => parentPort?.postMessage(runner.run(task)));
}

interface Job {
  task: ScanTask;
  resolve: (result: ScanResult) => void;
  reject: (error: Error) => void;
}

/**
 * Reads with several threads. The program is one file wherever it runs, so a thread runs that same file, which must call
 * serveScan where isScanThread says so.
 */
export class ScanThreads implements ScanRunner {
  private readonly waiting: Job[] = [];
  private readonly threads: Thread[];

  /** @param program the program's file; default: the one this process runs */
  constructor(count: number, program: string = realpathSync(process.argv[1] ?? "")) {
    this.threads = Array.from({ length: count }, () => new Thread(program, () => this.waiting.shift()));
  }

  run(task: ScanTask): Promise<ScanResult> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ task, resolve, reject });
      for (const thread of this.threads) thread.wake();
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}

class Thread {
  private readonly worker: Worker;
  private job: Job | undefined;
  private failure: Error | undefined;

  constructor(
    program: string,
    private readonly next: () => Job | undefined,
  ) {
    // In a checkout the program is TypeScript, and a thread does not inherit what lets this one run it.
    const execArgv = program.endsWith(".ts") ? ["--require", require.resolve("tsx/cjs")] : undefined;
    this.worker = new Worker(program, { workerData: SCAN_THREAD, execArgv });
    this.worker.on("message", (result: ScanResult) => this.end(({ resolve }) => resolve(result)));
    this.worker.on("error", (error: Error) => {
      this.failure = error;
      this.end(({ reject }) => reject(error));
    });
  }

  /** Takes a job if it has none. */
  wake(): void {
    if (this.job !== undefined) return;
    this.job = this.next();
    const { job, failure } = this;
    if (job === undefined) return;
    if (failure === undefined) this.worker.postMessage(job.task);
    else this.end(({ reject }) => reject(failure));
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private end(settle: (job: Job) => void): void {
    if (this.job !== undefined) settle(this.job);
    this.job = undefined;
    this.wake();
  }
}
