/** The items that remain to be handled. */
export interface Stack<T> {
  readonly length: number;
  pop(): T | undefined;
}

/**
 * Handles every item of a stack, last in first out, with bounded concurrency; a handler may push further items. After the
 * first error no further item is started, and the error is thrown once those in progress have ended.
 */
export const drain = <T>(stack: Stack<T>, concurrency: number, handle: (item: T) => Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    let active = 0;
    let failed: { error: unknown } | null = null;
    const settle = (): void => {
      active--;
      advance();
    };
    const advance = (): void => {
      while (failed === null && active < concurrency && stack.length > 0) {
        active++;
        handle(stack.pop() as T).then(settle, (error: unknown) => {
          failed ??= { error };
          settle();
        });
      }
      if (active > 0) return;
      if (failed !== null) reject(failed.error);
      else if (stack.length === 0) resolve();
    };
    advance();
  });
