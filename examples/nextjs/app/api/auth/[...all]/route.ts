import { toNextJsHandler } from "better-auth/next-js";

import { auth } from "@/lib/auth";

// All of Better Auth: signing in, /api/auth/token for pages, /api/auth/jwks for the backend.
export const { GET, POST } = toNextJsHandler(auth);
