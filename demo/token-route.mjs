// Recipe 2, the shared secret: a route that gives the signed-in person a token for the backend.
// In a Next.js application this is `app/api/token/route.ts`; the backend gets the same BETTER_AUTH_SECRET.
//
// WARNING. Better Auth signs the links of its e-mail verification with this very secret and algorithm, and looks at
// nothing but `email` in them. So a token made here WITH an `email` claim, taken to
//     GET /api/auth/verify-email?token=...
// marks that address as confirmed though nobody confirmed it; with `autoSignInAfterVerification` it even opens a
// session. Do one of these:
//   - switch that path off, where you do not confirm addresses: `disabledPaths: ["/verify-email"]` (auth.mjs does);
//   - leave `email` out of the token: the backend needs `sub` alone;
//   - sign with a key of its own, another 32 random bytes, and give that to the backend as its BETTER_AUTH_SECRET.

import { SignJWT } from "jose";

import { auth } from "./auth.mjs";
import { settings } from "./settings.mjs";

// The UTF-8 bytes of the secret are the key. Nothing is decoded, even where it looks like base64.
const key = new TextEncoder().encode(settings.secret);

/** @param {Request} request */
export async function GET(request) {
  const headers = { "Cache-Control": "no-store" };
  const session = await auth.api.getSession({ headers: request.headers });
  if (!session) return Response.json({ detail: "Not signed in" }, { status: 401, headers });

  const { id, email, name } = session.user;
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ email, name })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(id) // the backend knows people by this alone
    .setIssuedAt(now)
    .setExpirationTime(now + settings.tokenSeconds) // 15 minutes: a token cannot be called back, so keep it short
    .sign(key);
  return Response.json({ token }, { headers });
}
