import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { SqliteDialect } from "kysely";
import Database from "libsql";

// SQLite, of which npm brings a build for each platform. Better Auth takes a `pg` pool or a `mysql2` pool just as well.
const database = new Database(process.env.AUTH_DATABASE || "auth.db");

export const auth = betterAuth({
  // Without it, tokens would name whatever host a request was sent to, and the backend would refuse them.
  baseURL: process.env.BETTER_AUTH_URL,
  secret: process.env.BETTER_AUTH_SECRET,
  database: { dialect: new SqliteDialect({ database }), type: "sqlite" },
  emailAndPassword: { enabled: true },
  plugins: [jwt()], // the keys that it signs with are in a table of its own, `jwks`
});
