// The same tasks with Fastify, pg and jose, as their documentation shows it.
import cluster from "node:cluster";
import { randomUUID } from "node:crypto";

import cors from "@fastify/cors";
import Fastify from "fastify";
import { jwtVerify } from "jose";
import pg from "pg";

const { DATABASE_URL, JWT_SECRET, PORT, WORKERS = "2" } = process.env;

const timestamp = { type: "string", format: "date-time" };
const timestampOrNull = { type: ["string", "null"], format: "date-time" };

const user = {
  type: "object",
  properties: { id: { type: "string" }, email: { type: "string" }, name: { type: "string" } },
};

const task = {
  type: "object",
  properties: {
    id: { type: "string" },
    user_id: { type: "string" },
    text: { type: "string" },
    description: { type: "string" },
    completed: { type: "boolean" },
    completed_at: timestampOrNull,
    deadline: timestampOrNull,
    order: { type: "integer" },
    created_at: timestamp,
    updated_at: timestamp,
  },
};

const writable = {
  text: { type: "string", minLength: 1, maxLength: 500 },
  description: { type: "string", maxLength: 2000 },
  completed: { type: "boolean" },
  deadline: timestampOrNull,
  order: { type: "integer", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
};

const params = { type: "object", properties: { id: { type: "string", format: "uuid" } } };

const page = {
  type: "object",
  properties: {
    limit: { type: "integer", minimum: 1, maximum: 1000, default: 50 },
    offset: { type: "integer", minimum: 0, default: 0 },
  },
};

async function serve() {
  const key = new TextEncoder().encode(JWT_SECRET);
  const pool = new pg.Pool({ connectionString: DATABASE_URL });
  const app = Fastify();

  await app.register(cors, { origin: ["http://localhost:3000"] });
  app.decorateRequest("user", null);

  app.addHook("onRequest", async (request, reply) => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token) {
      return reply.code(401).send({ detail: "Authentication required" });
    }
    try {
      const { payload } = await jwtVerify(token, key, { algorithms: ["HS256"] });
      request.user = { id: payload.sub, email: payload.email, name: payload.name };
    } catch {
      return reply.code(401).send({ detail: "Invalid token" });
    }
  });

  // Tells apart, once nothing was found, what is not there and what is somebody else's.
  async function refuse(id, reply) {
    const { rowCount } = await pool.query("SELECT 1 FROM task WHERE id = $1", [id]);
    return rowCount
      ? reply.code(403).send({ detail: "Access denied" })
      : reply.code(404).send({ detail: "Task not found" });
  }

  app.get("/me", { schema: { response: { 200: user } } }, async (request) => request.user);

  app.get(
    "/tasks",
    { schema: { querystring: page, response: { 200: { type: "array", items: task } } } },
    async (request) => {
      const { limit, offset } = request.query;
      const { rows } = await pool.query(
        "SELECT * FROM task WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3",
        [request.user.id, limit, offset],
      );
      return rows;
    },
  );

  app.post(
    "/tasks",
    {
      schema: {
        body: { type: "object", required: ["text"], properties: writable },
        response: { 201: task },
      },
    },
    async (request, reply) => {
      const { text, description = "", completed = false, deadline = null, order = 0 } = request.body;
      const now = new Date();
      const { rows } = await pool.query(
        `INSERT INTO task (id, user_id, text, description, completed, completed_at, deadline,
                           "order", created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING *`,
        [
          randomUUID(), request.user.id, text, description, completed,
          completed ? now : null, deadline, order, now,
        ],
      );
      return reply.code(201).send(rows[0]);
    },
  );

  app.get("/tasks/:id", { schema: { params, response: { 200: task } } }, async (request, reply) => {
    const { id } = request.params;
    const { rows } = await pool.query("SELECT * FROM task WHERE id = $1 AND user_id = $2", [
      id, request.user.id,
    ]);
    return rows[0] ?? refuse(id, reply);
  });

  app.patch(
    "/tasks/:id",
    { schema: { params, body: { type: "object", properties: writable }, response: { 200: task } } },
    async (request, reply) => {
      const { id } = request.params;
      const values = [id, request.user.id];
      const changes = ["updated_at = now()"];
      for (const name of Object.keys(writable)) {
        if (name in request.body) changes.push(`"${name}" = $${values.push(request.body[name])}`);
      }
      if ("completed" in request.body) {
        const completed = `$${values.push(request.body.completed)}::boolean`;
        changes.push(`completed_at = CASE WHEN ${completed} THEN coalesce(completed_at, now()) END`);
      }
      const { rows } = await pool.query(
        `UPDATE task SET ${changes.join(", ")} WHERE id = $1 AND user_id = $2 RETURNING *`,
        values,
      );
      return rows[0] ?? refuse(id, reply);
    },
  );

  await app.listen({ host: "127.0.0.1", port: Number(PORT) });
}

if (cluster.isPrimary) {
  for (let count = Number(WORKERS); count > 0; count -= 1) cluster.fork();
  cluster.on("exit", () => process.exit(1));
  process.on("SIGTERM", () => process.exit(0));
} else {
  await serve();
}
