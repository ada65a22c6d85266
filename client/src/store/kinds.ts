import type { Code } from "../errors.js";
import type * as T from "../types.js";

/** What a store has of each kind. */
export interface Kinds {
  task: T.Task;
  project: T.Project;
  label: T.Label;
  notification: T.Notification;
  preferences: T.Preferences;
}

export type Kind = keyof Kinds;

/** Any of them, where it does not matter which. */
export interface Thing {
  id: string;
  [field: string]: unknown;
}

export type Fields = { [field: string]: unknown };

/** Of the kind of which there is one. */
export const PREFERENCES = "preferences";

/** What somebody did, until the server has done it and events tell of it. */
export interface Operation {
  id: string;
  /** The order in which they are played. */
  n: number;
  kind: Kind;
  target: string;
  what: "create" | "change" | "remove" | "restore" | "move" | "read";
  /** What is sent. */
  body: Fields;
  /** What was shown when it was done: of the fields of `body`, or of what is removed. */
  seen: Fields;
  /** When, by this machine's clock. */
  at: string;
  /** May have arrived at the server. */
  sent?: boolean;
  /** The version that it was sent for. */
  version?: number;
  /** What the server answered. Shown until events are as far; null of a removal. */
  answer?: Thing | null;
}

/** Something that could not be done as it was meant. What was done instead loses nothing of either side. */
export interface Conflict {
  id: string;
  kind: Kind;
  /** What it is about. */
  target: string;
  /**
   * `changed`: both sides changed the same. Of texts theirs stays, and `copy` is a task with mine; of all else mine is taken.
   * `kept`: it was to be removed here, and its text was changed there; it stays.
   * `deleted`: it was changed here and deleted there. Where text was typed, it is back, as itself or as `copy`.
   * `refused`: the server does not accept it; `error` says why.
   */
  what: "changed" | "kept" | "deleted" | "refused";
  /** What was done here, and what was seen when it was done. */
  mine: Fields;
  seen: Fields;
  /** What the server has, or null where it is gone. */
  theirs: Fields | null;
  copy?: string;
  error?: { code: Code; message: string; fields: Record<string, string[]> };
}

/** Fields of which every word was typed. */
export const TYPED: readonly string[] = ["text", "description", "name"];

const VERSIONLESS = 1;

/** Notifications have no version: one that was read is later than one that was not. */
export function versionOf(thing: Thing): number {
  return typeof thing["version"] === "number" ? thing["version"] : thing["read_at"] ? VERSIONLESS + 1 : VERSIONLESS;
}
