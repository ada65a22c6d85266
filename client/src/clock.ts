/**
 * Milliseconds since `begin()`, by whichever of two clocks says more: one may be set back by somebody, the
 * other stops on some machines while they sleep.
 */
export type Stopwatch = () => number;

export function begin(): Stopwatch {
  const [wall, monotonic] = [Date.now(), performance.now()];
  return () => Math.max(Date.now() - wall, performance.now() - monotonic);
}

export function wait(milliseconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** A pause that grows with each failure, spread out so that many clients do not come back at one moment. */
export function pause(failures: number, first: number, longest: number): number {
  return Math.min(longest, first * 2 ** failures) * (0.5 + Math.random() / 2);
}
