// The Better Auth server's configuration. In a Next.js application this is `auth.ts`.

import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

import { settings } from "./settings.mjs";
import { tables } from "./store.mjs";

// Recipe 1, the default: the jwt plugin. It signs with a private key and publishes the public one at
// /api/auth/jwks, so the backend holds no secret of ours. Its tokens come from GET /api/auth/token.
// The backend is told BETTER_AUTH_URL, the same as `baseURL` below, and nothing else.
const publishedKeys = jwt({
  jwt: {
    // A string with a unit. A bare number would be taken as a point in time, not as a duration.
    expirationTime: `${settings.tokenSeconds}s`,
  },
  jwks: {
    // All of this may be left out; then it is EdDSA and keys that never rotate.
    keyPairConfig: { alg: settings.keyAlgorithm },
    ...(settings.rotateSeconds && { rotationInterval: settings.rotateSeconds }),
    // How long an old key stays published. It must be longer than a token lives.
    ...(settings.graceSeconds && { gracePeriod: settings.graceSeconds }),
  },
});

export const auth = betterAuth({
  // Always set it: without it `iss` and `aud` of a token come from the request's Host header, which anyone may choose.
  baseURL: settings.baseURL,
  secret: settings.secret,
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  // Recipe 2, the shared secret, needs no plugin; see token-route.mjs.
  plugins: settings.tokenMode === "jwks" ? [publishedKeys] : [],
  // Required for recipe 2 unless the token leaves `email` out; token-route.mjs says why.
  disabledPaths: ["/verify-email"],
});
