import { headers } from "next/headers";
import { createTodolist } from "todolist-client";

import { auth } from "@/lib/auth";

import { LiveTasks } from "./live-tasks";
import { SignIn } from "./sign-in";

export default async function Page() {
  const cookies = { headers: await headers() };
  const session = await auth.api.getSession(cookies);
  if (!session) return <SignIn />;
  const { id, name } = session.user;

  const url = process.env.TODOLIST_URL || "http://127.0.0.1:8000";
  // Here the token is made without a call: this is the server that signs it.
  const todolist = createTodolist({ url, token: async () => (await auth.api.getToken(cookies)).token });
  const tasks = await todolist.tasks.list({ ordering: "position" }).all();
  // By its key another person gets another component, and so a store of their own.
  return <LiveTasks key={id} url={url} user={{ id, name }} tasks={tasks} />;
}
