// The calls of the README and of docs/api.md, by what openapi-typescript makes of the schema.

import createClient from "openapi-fetch";

import type { components, paths } from "./made/api.d.ts";

type LiveEvent = components["schemas"]["LiveEvent"];

const api = createClient<paths>({ baseUrl: "http://127.0.0.1:8000", headers: { Authorization: "Bearer …" } });

export async function main(since: number): Promise<string[]> {
  const said: string[] = [];
  const { data: task, error, response } = await api.POST("/tasks", { body: { text: "Water the plants" } });
  if (error) throw new Error("detail" in error ? String(error.detail) : JSON.stringify(error));
  const etag: string | null = response.headers.get("ETag");
  const id: string = task.id;
  const path = { id };

  const whole = { text: "Water them", deadline: "2030-05-01T14:30:00+02:00", completed: false };
  await api.PUT("/tasks/{id}", { params: { path }, body: whole });
  const { error: refusal } = await api.PATCH("/tasks/{id}", {
    params: { path, header: { "If-Match": etag ?? "*" } },
    body: { completed: true },
  });
  if (refusal && "code" in refusal && refusal.code === "changed_meanwhile") said.push("anew");
  await api.PATCH("/tasks/{id}", { params: { path }, body: { deadline: null } });

  const { data: tasks } = await api.GET("/tasks", {
    params: { query: { limit: 50, completed: false, ordering: "-deadline" } },
  });
  for (const { text, version, deadline } of tasks ?? []) said.push(`${text} ${version + 1} ${deadline?.length}`);
  await api.POST("/tasks", {
    params: { header: { "Idempotency-Key": "7f0c5d0e" } },
    body: { text: "Water the plants", order: 1, description: "" },
  });
  await api.DELETE("/tasks/{id}", { params: { path } });

  const { data: notifications } = await api.GET("/notifications", { params: { query: { status: "unread" } } });
  for (const { title, read_at } of notifications ?? []) said.push(read_at ?? title);
  await api.POST("/notifications/{id}/read", { params: { path } });
  const { data: all } = await api.POST("/notifications/read-all");
  const { data: unread } = await api.GET("/notifications/unread-count");
  said.push(String((all?.updated ?? 0) + (unread?.count ?? 0)));

  const { data: events, error: gone } = await api.GET("/events", { params: { query: { since } } });
  if (gone) said.push(gone.code);
  said.push(...(events ?? []).map(told));
  const { data: me } = await api.GET("/me");
  if (me) said.push(me.name);
  return said;
}

function told(event: LiveEvent): string {
  switch (event.type) {
    case "task.created":
    case "task.updated":
      return event.data.text;
    case "notification.created":
    case "notification.read":
      return event.data.message;
    case "project.created":
    case "project.updated":
    case "label.created":
    case "label.updated":
      return event.data.name;
    case "preferences.updated":
      return event.data.time_zone;
    case "task.deleted":
    case "project.deleted":
    case "label.deleted":
    case "notification.withdrawn":
      return event.data.id;
  }
}

// @ts-expect-error  a task has a text
await api.POST("/tasks", { body: { completed: true } });
// @ts-expect-error  no such parameter
await api.GET("/tasks", { params: { query: { completd: true } } });
