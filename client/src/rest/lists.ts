import { TodolistError } from "../errors.js";
import type { CallOptions, Http } from "./http.js";
import type { Position } from "../types.js";

export interface Page<T> {
  items: T[];
  /** As of which event it was read; null in the trash, which events do not tell of. */
  position: Position | null;
}

/** A list of the server's, fetched page by page as it is read: `for await (const task of list)`. */
export class List<T> implements AsyncIterable<T> {
  /**
   * As of which event the first page was read, once it was. Live events that go on from there miss nothing,
   * and repeat at most what later pages know already.
   */
  position: Position | null = null;

  constructor(
    readonly http: Http,
    readonly path: string,
    readonly query: object | undefined,
    readonly options: CallOptions | undefined,
  ) {}

  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let query: object | undefined = this.query;
    for (let first = true; query !== undefined || first; first = false) {
      const { response } = await this.http.send("GET", this.path, { ...this.options, query });
      const position = positionOf(response);
      if (first) this.position = position;
      yield { items: (await response.json()) as T[], position };
      query = nextQuery(response.headers.get("Link"));
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { items } of this.pages()) yield* items;
  }

  async all(): Promise<T[]> {
    const all: T[] = [];
    for await (const { items } of this.pages()) all.push(...items);
    return all;
  }
}

/** The position to go on from, of several lists that were fetched at one time. */
export function earliest(...lists: List<unknown>[]): Position {
  const [first, ...others] = lists.map(({ position }) => position);
  if (!first || others.some((other) => other?.epoch !== first.epoch)) {
    throw new TodolistError("unexpected", "Lists of different histories");
  }
  return { ...first, seq: Math.min(first.seq, ...others.map((other) => other!.seq)) };
}

function positionOf({ headers }: Response): Position | null {
  const [seq, epoch] = [headers.get("X-Events-Seq"), headers.get("X-Events-Epoch")];
  return seq && epoch ? { seq: Number(seq), epoch } : null;
}

/** The query of `Link: <…>; rel="next"`. Its host is not taken over, so a token goes to the configured server alone. */
function nextQuery(link: string | null): object | undefined {
  const match = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link ?? "");
  if (!match) return undefined;
  const query: Record<string, string[]> = {};
  for (const [name, value] of new URL(match[1]!, "http://_").searchParams) (query[name] ??= []).push(value);
  return query;
}
