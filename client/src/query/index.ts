// For applications that keep what they fetch in TanStack Query, and want no store besides.

import type { LabelQuery, Live, LiveEvent, LiveOptions, NotificationQuery, Position, ProjectQuery, TaskQuery, Todolist } from "../index.js";

const ROOT = "todolist";
// Events that come together make lists be fetched once.
const TOGETHER = 50;

interface Context {
  signal: AbortSignal;
}

/** Options for `useQuery`: `useQuery(queries.tasks({ completed: false }))`. */
export function todolistQueries(todolist: Todolist) {
  const { tasks, projects, labels, notifications, preferences } = todolist;
  return {
    tasks: (query: TaskQuery = {}) => ({ queryKey: [ROOT, "tasks", query] as const, queryFn: ({ signal }: Context) => tasks.list(query, { signal }).all() }),
    task: (id: string) => ({ queryKey: [ROOT, "task", id] as const, queryFn: ({ signal }: Context) => tasks.get(id, { signal }) }),
    counts: () => ({ queryKey: [ROOT, "tasks", "counts"] as const, queryFn: ({ signal }: Context) => tasks.counts({ signal }) }),
    projects: (query: ProjectQuery = {}) => ({ queryKey: [ROOT, "projects", query] as const, queryFn: ({ signal }: Context) => projects.list(query, { signal }).all() }),
    labels: (query: LabelQuery = {}) => ({ queryKey: [ROOT, "labels", query] as const, queryFn: ({ signal }: Context) => labels.list(query, { signal }).all() }),
    notifications: (query: NotificationQuery = {}) => ({ queryKey: [ROOT, "notifications", query] as const, queryFn: ({ signal }: Context) => notifications.list(query, { signal }).all() }),
    preferences: () => ({ queryKey: [ROOT, "preferences"] as const, queryFn: ({ signal }: Context) => preferences.get({ signal }) }),
  };
}

/** What is used of a `QueryClient`. */
export interface Queries {
  invalidateQueries(filters: Filters): Promise<void>;
  removeQueries(filters: Filters): void;
  setQueryData(queryKey: readonly unknown[], update: (known: unknown) => unknown): unknown;
  setQueriesData(filters: Filters, update: (known: unknown) => unknown): unknown;
}

interface Filters {
  queryKey: readonly unknown[];
}

/** Keeps what was fetched by `todolistQueries` true, until it is closed. */
export function followQueries(todolist: Todolist, client: Queries, options: Pick<LiveOptions, "state"> = {}): Live {
  const stale = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const refetch = (): void => {
    timer = undefined;
    for (const name of stale) void client.invalidateQueries({ queryKey: [ROOT, name] });
    stale.clear();
  };

  const load = async (): Promise<Position> => {
    const list = todolist.labels.list({ limit: 1 });
    await list.pages().next();
    // Whatever was fetched before this position is fetched once more: nothing tells of what happened in between.
    void client.invalidateQueries({ queryKey: [ROOT] });
    return list.position!;
  };

  const event = ({ type, data }: LiveEvent): void => {
    const [kind, verb] = type.split(".") as [string, string];
    if (kind === "preferences") return void client.setQueryData([ROOT, kind], () => data);
    const thing = data as Known;
    const gone = verb === "deleted" || verb === "withdrawn";
    if (gone) client.removeQueries({ queryKey: [ROOT, kind, thing.id] });
    else client.setQueryData([ROOT, kind, thing.id], (known) => known && later(known as Known, thing));
    // At once where it is in a list; whether it belongs there, and where, the server knows.
    client.setQueriesData({ queryKey: [ROOT, `${kind}s`] }, (list) => (Array.isArray(list) ? patched(list as Known[], thing, gone) : list));
    stale.add(`${kind}s`);
    timer ??= setTimeout(refetch, TOGETHER);
  };

  return todolist.live({ ...options, load, event });
}

interface Known {
  id: string;
  version?: number;
}

function later(known: Known, thing: Known): Known {
  return (thing.version ?? 1) >= (known.version ?? 1) ? thing : known;
}

function patched(list: Known[], thing: Known, gone: boolean): Known[] {
  return gone ? list.filter(({ id }) => id !== thing.id) : list.map((known) => (known.id === thing.id ? later(known, thing) : known));
}
