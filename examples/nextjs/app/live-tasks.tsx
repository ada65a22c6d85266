"use client";

import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { createTodolist, openStore, type Store, type Task } from "todolist-client";
import { TodolistProvider, useChangeTask, useCreateTask, useRemoveTask, useStatus, useStore, useTasks } from "todolist-client/react";

import { authClient, token } from "@/lib/auth-client";

interface Props {
  url: string;
  user: { id: string; name: string };
  /** As the server has read them: shown until the store knows better. */
  tasks: Task[];
}

export function LiveTasks({ url, user, tasks }: Props) {
  const [store, setStore] = useState<Store | null>(null);
  useEffect(() => {
    // Here, and not while rendering: a store has a socket, and the server renders this component, too.
    const store = openStore(createTodolist({ url, token }), { user: user.id });
    setStore(store);
    return () => store.close();
  }, [url, user.id]);

  return (
    <>
      <h1>Tasks of {user.name}</h1>
      {store ? (
        <TodolistProvider store={store}>
          <Live first={tasks} />
        </TodolistProvider>
      ) : (
        <ul>{tasks.map((task) => <li key={task.id}>{task.text}</li>)}</ul>
      )}
    </>
  );
}

function Live({ first }: { first: Task[] }) {
  const router = useRouter();
  const store = useStore();
  const status = useStatus();
  const known = useTasks();
  const [create, change, remove] = [useCreateTask(), useChangeTask(), useRemoveTask()];

  async function signOut() {
    await authClient.signOut();
    await store.forget(); // what this browser keeps of this person
    router.refresh();
  }

  return (
    <>
      <form
        action={(form) => {
          const text = String(form.get("text")).trim();
          if (text) create({ text });
        }}
      >
        <label>New task <input name="text" required autoComplete="off" /></label>
        <button>Add</button>
      </form>
      <ul>
        {(status.loaded ? known : first).map((task) => (
          <li key={task.id}>
            <label>
              <input type="checkbox" checked={task.completed} onChange={() => change(task.id, { completed: !task.completed })} /> {task.text}
            </label>
            <button className="quiet" aria-label={`Delete: ${task.text}`} onClick={() => remove(task.id)}>×</button>
          </li>
        ))}
      </ul>
      <p role="status">
        {status.state === "live" ? "Live" : status.state}
        {status.pending > 0 && `, ${status.pending} to be sent`}
      </p>
      <button className="quiet" onClick={signOut}>Sign out</button>
    </>
  );
}
