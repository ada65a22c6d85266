// The line between one client and the server, which can be cut in the ways in which lines are.

import { connect, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

/**
 * `open`; `cut`: nobody gets through; `frozen`: connections stay and carry nothing; `deaf`: requests arrive, and their
 * answers are lost together with the connection; `calls`: calls get through and WebSockets do not, as behind some proxies.
 */
export type LineState = "open" | "cut" | "frozen" | "deaf" | "calls";

export class Line {
  #state: LineState = "open";
  readonly #pairs = new Set<[Socket, Socket]>();
  readonly #upgraded = new WeakSet<Socket>();

  private constructor(
    readonly port: number,
    private readonly listener: Server,
  ) {}

  static async to(target: number, port = 0): Promise<Line> {
    const listener = createServer().listen(port, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address() as { port: number };
    const line = new Line(address.port, listener);
    listener.on("connection", (client) => line.#connect(client, target));
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get state(): LineState {
    return this.#state;
  }

  /** Cuts what is open, unless the line only freezes or thaws. */
  set(state: LineState): void {
    this.#state = state;
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        if (state === "cut" || (state === "calls" && this.#upgraded.has(socket))) socket.destroy();
        else if (state === "frozen") socket.pause();
        else socket.resume();
      }
    }
  }

  /** Drops every connection once; new ones are let through. */
  drop(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  close(): void {
    this.drop();
    this.listener.close();
  }

  #connect(client: Socket, target: number): void {
    if (this.#state === "cut") return void client.destroy();
    const server = connect(target, "127.0.0.1");
    const pair: [Socket, Socket] = [client, server];
    this.#pairs.add(pair);
    const end = (): void => {
      client.destroy();
      server.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    client.on("data", (data) => {
      if (/^upgrade: websocket/im.test(data.toString("latin1"))) this.#upgraded.add(client);
      if (this.#state === "calls" && this.#upgraded.has(client)) end();
      else server.write(data);
    });
    server.on("data", (data) => (this.#state === "deaf" ? end() : client.write(data)));
    if (this.#state === "frozen") for (const socket of pair) socket.pause();
  }
}
