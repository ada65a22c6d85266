import { after, before, test } from "node:test";

import { QueryClient, QueryObserver } from "@tanstack/react-query";

import { createTodolist } from "todolist-client";
import { followQueries, todolistQueries } from "todolist-client/query";

import { Line } from "./support/proxy.js";
import { Server, newPerson, sign } from "./support/server.js";
import { until } from "./support/wait.js";

let server: Server;
before(async () => void (server = await Server.start()));
after(() => server.stop());

test("what TanStack Query has fetched is kept true by events", async () => {
  const person = newPerson();
  const line = await Line.to(server.port);
  const beyond = createTodolist({ url: server.url, token: () => sign(person) });
  const todolist = createTodolist({ url: line.url, token: () => sign(person) });
  const one = await beyond.tasks.create({ text: "one" });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const queries = todolistQueries(todolist);
  const open = new QueryObserver(client, queries.tasks({ completed: false, ordering: "created_at" }));
  const stop = open.subscribe(() => {});
  const texts = (): string | undefined => open.getCurrentResult().data?.map(({ text }) => text).join();
  await until(() => texts() === "one", "fetched");

  // Nobody follows yet, so this is missed, and known as soon as somebody does.
  await beyond.tasks.create({ text: "two" });
  const states: string[] = [];
  const live = followQueries(todolist, client, { state: (state) => states.push(state) });
  await until(() => texts() === "one,two", "followed");
  const detail = new QueryObserver(client, queries.task(one.id));
  const stopDetail = detail.subscribe(() => {});
  await until(() => detail.getCurrentResult().data, "one of them");
  await beyond.tasks.change(one.id, { text: "ONE" });
  await until(() => detail.getCurrentResult().data?.text === "ONE" && texts() === "ONE,two", "changed");
  await beyond.tasks.change(one.id, { completed: true });
  await until(() => texts() === "two", "completed");
  stopDetail();
  line.set("cut");
  await until(() => states.at(-1) === "waiting", "cut");
  const three = await beyond.tasks.create({ text: "three" });
  await beyond.tasks.remove(one.id);
  await beyond.preferences.change({ time_zone: "Europe/Paris" });
  client.setQueryData(queries.preferences().queryKey, { time_zone: "UTC", remind_at: "09:00", remind_before: 30, push: true, version: 1 });
  line.set("open");
  await until(() => texts() === "two,three", "taken up");
  await until(() => client.getQueryData(queries.task(one.id).queryKey) === undefined, "dropped");
  await until(() => client.getQueryData<{ time_zone: string }>(queries.preferences().queryKey)?.time_zone === "Europe/Paris", "preferences");
  await beyond.tasks.remove(three.id);
  await until(() => texts() === "two", "removed");
  live.close();
  stop();
  client.clear();
  line.close();
});
