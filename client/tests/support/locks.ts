// Web Locks as browsers have them and Node.js 20 does not, within this process: enough to be one tab after another.

export class Locks {
  readonly #queues = new Map<string, Promise<unknown>>();

  request<T>(name: string, options: { signal?: AbortSignal }, callback: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(name) ?? Promise.resolve();
    const granted = before.then(() => {
      options.signal?.throwIfAborted();
      return callback();
    });
    this.#queues.set(name, granted.catch(() => {}));
    return granted;
  }
}

export function provideLocks(): void {
  Object.defineProperty(globalThis, "navigator", { value: { locks: new Locks() }, configurable: true });
}
