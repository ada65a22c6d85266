/** One thing that is kept: table, id, and what it is; `undefined` where it is gone. */
export type Entry = [table: string, id: string, value: unknown];

/** Where a store is kept, so that it survives a reload. It is one store's alone. */
export interface Storage {
  read(): Promise<Entry[]>;
  /** All of them or none, in the order of the calls. Values are plain JSON. */
  write(entries: Entry[]): Promise<void>;
  /** Drops everything. */
  clear(): Promise<void>;
}

/** Keeps nothing beyond the life of the object. */
export function memoryStorage(): Storage {
  const kept = new Map<string, Entry>();
  return {
    read: async () => structuredClone([...kept.values()]),
    async write(entries) {
      for (const entry of structuredClone(entries)) {
        const key = `${entry[0]}/${entry[1]}`;
        if (entry[2] === undefined) kept.delete(key);
        else kept.set(key, entry);
      }
    },
    clear: async () => kept.clear(),
  };
}

const TABLE = "entries";

/** A database of the browser's. */
export function indexedDBStorage(name: string): Storage {
  let opening: Promise<IDBDatabase> | undefined;
  const open = (): Promise<IDBDatabase> =>
    (opening ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const database = request.result;
        // The browser closes it when it is deleted elsewhere, or by itself.
        database.onversionchange = () => database.close();
        database.onclose = () => (opening = undefined);
        resolve(database);
      };
    }));

  async function within<T>(mode: IDBTransactionMode, work: (table: IDBObjectStore) => IDBRequest<T> | void): Promise<T | undefined> {
    const transaction = (await open()).transaction(TABLE, mode);
    return new Promise((resolve, reject) => {
      let request: IDBRequest<T> | void;
      transaction.oncomplete = () => resolve(request ? request.result : undefined);
      transaction.onabort = () => reject(transaction.error);
      try {
        request = work(transaction.objectStore(TABLE));
      } catch (error) {
        reject(error); // what cannot be kept is said before it is asked for
        transaction.abort();
      }
    });
  }

  return {
    read: async () => (await within("readonly", (table) => table.getAll() as IDBRequest<Entry[]>)) ?? [],
    async write(entries) {
      await within("readwrite", (table) => {
        for (const entry of entries) {
          if (entry[2] === undefined) table.delete([entry[0], entry[1]]);
          else table.put(entry, [entry[0], entry[1]]);
        }
      });
    },
    async clear() {
      await within("readwrite", (table) => void table.clear());
    },
  };
}
