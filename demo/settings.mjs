// What the environment says. The only file that reads it.

/** @param {string} name @param {string} fallback @param {string[]} choices */
function oneOf(name, fallback, choices) {
  const value = process.env[name] || fallback;
  if (!choices.includes(value)) {
    throw new Error(`${name} is "${value}"; it must be one of: ${choices.join(", ")}`);
  }
  return value;
}

/** @param {string} name @param {number} [fallback] */
function seconds(name, fallback) {
  const text = process.env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`${name} is "${text}"; it must be a whole number of seconds, at least 1`);
  }
  return value;
}

/** @param {string} name @param {string} fallback */
function origin(name, fallback) {
  const text = process.env[name] || fallback;
  if (!URL.canParse(text)) throw new Error(`${name} is "${text}"; it must be a URL such as ${fallback}`);
  return new URL(text).origin;
}

function secret() {
  const value = process.env.BETTER_AUTH_SECRET ?? "";
  if (new TextEncoder().encode(value).length < 32) {
    throw new Error("BETTER_AUTH_SECRET must be set, to at least 32 bytes. One way to make one: openssl rand -base64 32");
  }
  return value;
}

const port = Number(process.env.PORT || 3000);

export const settings = {
  port,
  // Other machines see the demo only where this is set to 0.0.0.0.
  host: process.env.HOST || "127.0.0.1",
  // Where browsers reach this server. Its origin is also `iss` and `aud` of the jwt plugin's tokens.
  baseURL: origin("BETTER_AUTH_URL", `http://localhost:${port}`),
  // Where browsers reach the todolist backend.
  apiURL: origin("API_URL", "http://127.0.0.1:8000"),
  secret: secret(),
  // jwks: the jwt plugin signs, the backend fetches the published keys.
  // secret: token-route.mjs signs with the secret that this server and the backend share.
  tokenMode: oneOf("TOKEN_MODE", "jwks", ["jwks", "secret"]),
  tokenSeconds: seconds("TOKEN_SECONDS", 15 * 60),
  keyAlgorithm: oneOf("KEY_ALG", "EdDSA", ["EdDSA", "Ed25519", "ES256", "ES384", "ES512", "RS256", "PS256"]),
  rotateSeconds: seconds("ROTATE_SECONDS"),
  graceSeconds: seconds("GRACE_SECONDS"),
  // People who signed up are kept in this file; without it they are forgotten at the end.
  dataFile: process.env.DATA_FILE || "",
};
