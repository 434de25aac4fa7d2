/** A small HTTP server for protocols of few routes: bounded bodies, requests under way and time; one function answers. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { BitforbitError } from "../errors.ts";
import { type RunningServer, closing, listen, urlOf } from "./server.ts";

export interface PlainRequest {
  method: string;
  /** Without query; as it was sent. */
  path: string;
  body: Uint8Array;
}

export interface PlainAnswer {
  status: number;
  type: string;
  body: Uint8Array | string;
  headers?: Readonly<Record<string, string>>;
}

export interface PlainOptions {
  host: string;
  port: number;
  /** Of one request's body; more is answered with 413. */
  maxBody: number;
  /** Requests under way at once; more are answered with 503. */
  maxUnderWay: number;
  /** POSTs of one address in a second, with twice as many at first; more are answered with 429. */
  ratePerSecond: number;
  answer(request: PlainRequest): Promise<PlainAnswer>;
  /** Makes what an error answers; must not throw. */
  refusal(status: number, reason: string): PlainAnswer;
  report(error: unknown): void;
}

/** Addresses whose rate is kept; beyond it the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

export async function createPlainServer(options: PlainOptions): Promise<RunningServer> {
  let underWay = 0;
  const rate = new Rate(options.ratePerSecond);
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (underWay >= options.maxUnderWay) {
      return send(response, {
        ...options.refusal(503, "too many requests are under way"),
        headers: { "Retry-After": "1" },
      });
    }
    if (request.method === "POST" && !rate.take(request.socket.remoteAddress ?? "")) {
      return send(response, {
        ...options.refusal(429, "too many requests from this address"),
        headers: { "Retry-After": "1" },
      });
    }
    underWay++;
    try {
      const body = await bodyOf(request, options.maxBody);
      const [path = ""] = (request.url ?? "").split("?");
      if (body === undefined) send(response, options.refusal(413, `the body is larger than ${options.maxBody} bytes`));
      else send(response, await options.answer({ method: request.method ?? "", path, body }));
    } catch (error) {
      send(response, failure(error, options));
    } finally {
      underWay--;
    }
  };
  const server = createHttpServer(
    { maxHeaderSize: 16 << 10, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 15_000 },
    (request, response) => {
      response.once("finish", () => setImmediate(() => server.listening || server.closeIdleConnections()));
      void handle(request, response);
    },
  );
  server.maxConnections = 16_384;
  server.setTimeout(60_000);
  const port = await listen(server, options.host, options.port);
  server.on("error", options.report);
  return { url: urlOf(options.host, port), close: closing(server) };
}

/** What is wrong with a request its own answer says: what is thrown is our fault, and passes. */
function failure(error: unknown, { refusal, report }: PlainOptions): PlainAnswer {
  report(error);
  const reason = error instanceof BitforbitError ? error.message : "the server failed";
  return { ...refusal(503, `not done: ${reason}`), headers: { "Retry-After": "5" } };
}

async function bodyOf(request: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > most) return undefined;
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > most) return undefined;
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function send(response: ServerResponse, { status, type, body, headers }: PlainAnswer): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "X-Content-Type-Options": "nosniff",
    ...(status === 413 ? { Connection: "close" } : {}),
    ...headers,
  });
  response.end(body);
}

/** A bucket of tokens an address. */
class Rate {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  take(address: string): boolean {
    const now = Number(process.hrtime.bigint() / 1000n) / 1e6;
    const most = 2 * this.#perSecond;
    const held = this.#buckets.get(address) ?? { tokens: most, at: now };
    const tokens = Math.min(most, held.tokens + (now - held.at) * this.#perSecond);
    this.#buckets.delete(address);
    this.#buckets.set(address, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
    return tokens >= 1;
  }
}
