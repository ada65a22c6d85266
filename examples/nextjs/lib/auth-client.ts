import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";

export const authClient = createAuthClient({ plugins: [jwtClient()] });

/** A token for the backend, or null where nobody is signed in. Throws where that is not known. */
export async function token(): Promise<string | null> {
  const { data, error } = await authClient.token();
  if (error && error.status !== 401) throw new Error(error.message ?? "No answer from Better Auth");
  return data?.token ?? null;
}
