// The names of the API, as the OpenAPI document has them, and the messages of the socket.

import type { components, operations } from "./schema.js";

type Schemas = components["schemas"];
type Query<Operation extends keyof operations> = Omit<NonNullable<operations[Operation]["parameters"]["query"]>, "cursor">;

export type Task = Schemas["Task"];
export type NewTask = Schemas["NewTask"];
export type TaskPatch = Omit<Schemas["TaskPatch"], "id">;
export type Project = Schemas["Project"];
export type NewProject = Schemas["NewProject"];
export type ProjectPatch = Omit<Schemas["ProjectPatch"], "id">;
export type Label = Schemas["Label"];
export type NewLabel = Schemas["NewLabel"];
export type LabelPatch = Omit<Schemas["LabelPatch"], "id">;
export type Notification = Schemas["TaskNotification"];
export type TrashedTask = Schemas["TrashedTask"];
export type Preferences = Schemas["Preferences"];
export type PreferencesPatch = Schemas["PreferencesPatch"];
export type Person = Schemas["Person"];
export type Counts = Schemas["TaskCounts"];
export type Export = Schemas["Export"];
export type Import = Schemas["Import"];
export type Imported = Schemas["Imported"];
export type Adopted = Schemas["Adopted"];
export type PushSubscription = Schemas["PushSubscription"];
export type NewPushSubscription = Schemas["NewPushSubscription"];
export type LiveEvent = Schemas["LiveEvent"];

export type TaskQuery = Query<"listTasks">;
export type ProjectQuery = Query<"listProjects">;
export type LabelQuery = Query<"listLabels">;
export type NotificationQuery = Query<"listNotifications">;
export type TrashQuery = Query<"listTrash">;

/** Where something is moved to: beside another one of the same order, or to an end of it. */
export type Place = { after: string } | { before: string } | { to: "top" | "bottom" };

/** One of the operations that `tasks.bulk` does in one transaction. */
export type BulkOperation =
  | { op: "create"; body: NewTask }
  | { op: "update"; id: string; body: TaskPatch; if_version?: number }
  | ({ op: "move"; id: string; if_version?: number } & Place)
  | { op: "delete"; id: string; if_version?: number };

export type BulkResult = Schemas["BulkResult"];

/** The number of an event, and the history that it belongs to: what live events go on from. */
export interface Position {
  seq: number;
  epoch: string;
}

/** What the server says on the socket. */
export type ServerMessage = Schemas["ServerMessage"];

/** What a client says. */
export type ClientMessage = Schemas["ClientMessage"];
