"use client";

import { useRouter } from "next/navigation";
import { useState } from "react";

import { authClient } from "@/lib/auth-client";

export function SignIn() {
  const router = useRouter();
  const [isNew, setNew] = useState(false);
  const [problem, setProblem] = useState("");

  async function submit(form: FormData) {
    const [name, email, password] = ["name", "email", "password"].map((field) => String(form.get(field) ?? ""));
    const { error } = isNew ? await authClient.signUp.email({ name, email, password }) : await authClient.signIn.email({ email, password });
    if (error) setProblem(error.message ?? "That did not work");
    else router.refresh(); // the page is made anew, for whoever is signed in now
  }

  return (
    <>
      <h1>Tasks</h1>
      <form action={submit}>
        {isNew && <label>Name <input name="name" required autoComplete="name" /></label>}
        <label>E-mail <input name="email" type="email" required autoComplete="email" /></label>
        <label>Password <input name="password" type="password" required minLength={8} autoComplete={isNew ? "new-password" : "current-password"} /></label>
        <button>{isNew ? "Create account" : "Sign in"}</button>
        <p role="alert">{problem}</p>
      </form>
      <p>
        {isNew ? "You have an account?" : "No account yet?"}
        <button className="quiet" onClick={() => setNew(!isNew)}>{isNew ? "Use it" : "Create one"}</button>
      </p>
    </>
  );
}
