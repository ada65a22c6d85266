import { createContext, createElement, useCallback, useContext, useMemo, useSyncExternalStore, type ReactElement, type ReactNode } from "react";

import type { Conflict, Label, NewTask, Notification, Place, Preferences, Project, Status, Store, Task, TaskPatch } from "../index.js";
import { chosen, type TaskFilter } from "./filter.js";

const StoreContext = createContext<Store | null>(null);

/** Gives what is below it a store to show. */
export function TodolistProvider({ store, children }: { store: Store; children?: ReactNode }): ReactElement {
  return createElement(StoreContext.Provider, { value: store }, children);
}

export function useStore(): Store {
  const store = useContext(StoreContext);
  if (!store) throw new Error("There is no TodolistProvider above this component");
  return store;
}

/** Whatever can be read of a store; `read` gives the same object until it changes. */
export function useShown<T>(read: (store: Store) => T): T {
  const store = useStore();
  const snapshot = (): T => read(store);
  return useSyncExternalStore(store.subscribe, snapshot, snapshot);
}

/** Tasks in their order: all of them, or those that a filter lets through. */
export function useTasks(filter?: TaskFilter): readonly Task[] {
  const tasks = useShown((store) => store.tasks.all());
  // Filters are written where they are used, and so are new with each rendering.
  const same = typeof filter === "object" ? JSON.stringify(filter) : filter;
  return useMemo(() => chosen(tasks, filter), [tasks, same]);
}

export function useTask(id: string): Task | undefined {
  return useShown((store) => store.tasks.get(id));
}

export function useProjects(): readonly Project[] {
  return useShown((store) => store.projects.all());
}

export function useLabels(): readonly Label[] {
  return useShown((store) => store.labels.all());
}

export function useNotifications(): readonly Notification[] {
  return useShown((store) => store.notifications.all());
}

/** Null until they are known. */
export function usePreferences(): Preferences | null {
  return useShown((store) => store.preferences.current());
}

/** Whether there is a connection, how much waits for one. */
export function useStatus(): Status {
  return useShown((store) => store.status());
}

export function useConflicts(): readonly Conflict[] {
  return useShown((store) => store.conflicts());
}

/** What it creates is shown at once. */
export function useCreateTask(): (task: NewTask) => Task {
  const store = useStore();
  return useCallback((task) => store.tasks.create(task), [store]);
}

export function useChangeTask(): (id: string, patch: TaskPatch) => void {
  const store = useStore();
  return useCallback((id, patch) => store.tasks.change(id, patch), [store]);
}

export function useMoveTask(): (id: string, place: Place) => void {
  const store = useStore();
  return useCallback((id, place) => store.tasks.move(id, place), [store]);
}

/** Removes a task, and gives what brings it back. */
export function useRemoveTask(): (id: string) => () => void {
  const store = useStore();
  return useCallback(
    (id) => {
      const task = store.tasks.get(id);
      store.tasks.remove(id);
      return () => store.tasks.restore(task ?? id);
    },
    [store],
  );
}

export type { TaskFilter } from "./filter.js";
