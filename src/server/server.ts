import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { BitforbitError, systemCode } from "../errors.ts";
import { SECURITY_HEADERS } from "./answers.ts";
import type { Evidence } from "./evidence.ts";
import { PROBLEM_TYPE, problemOf } from "./problem.ts";
import { routes } from "./routes.ts";

export interface ServerOptions {
  /** Name or address to listen on; "127.0.0.1" when not given. */
  host?: string;
  /** 0 takes any free port. */
  port: number;
  /** Names, besides those of the loopback, by which a proxy in front may call this server. */
  allowHosts?: readonly string[];
  /** How long one answer may take; 20,000 when not given. */
  timeoutMilliseconds?: number;
}

export interface RunningServer {
  /** `http://127.0.0.1:8080`, without a slash at the end. */
  url: string;
  /** Takes no more requests, lets the running ones end (5 s at most), then resolves. */
  close(): Promise<void>;
}

const MOST_URL_BYTES = 2048;
const GRACE_MILLISECONDS = 5000;

/**
 * Listens and answers: pages for people, `/api/v1` for programs, `/metrics` for
 * Prometheus and `/log` for clients of tile logs. Reads `evidence` only; there
 * is no route that changes anything. Throws `conflict` when the port is in use
 * and `usage` when `host` or `port` cannot be listened on.
 */
export async function createServer(evidence: Evidence, options: ServerOptions): Promise<RunningServer> {
  const host = options.host ?? "127.0.0.1";
  const app = routes(evidence, options.timeoutMilliseconds ?? 20_000);
  const answer = getRequestListener((request) => app.fetch(request), {
    overrideGlobalObjects: false,
    errorHandler: (error) => {
      evidence.report(error);
      return new Response(null, { status: 400, headers: SECURITY_HEADERS });
    },
  });
  const names = isLoopback(host) ? [...LOOPBACK_NAMES, ...(options.allowHosts ?? []).map(lowerCase)] : undefined;
  const server = createHttpServer(
    { maxHeaderSize: 16 << 10, headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5000 },
    (request, response) => {
      // Once closing, a kept-alive connection ends with the answer it was waiting for.
      response.once("finish", () => setImmediate(() => server.listening || server.closeIdleConnections()));
      const wrong = refused(request, names);
      if (wrong === undefined) void answer(request, response);
      else refuse(request, response, wrong);
    },
  );
  server.maxConnections = 1024;
  server.setTimeout(60_000);
  server.on("clientError", answerBrokenRequest);
  const port = await listen(server, host, options.port);
  server.on("error", (error) => evidence.report(error));
  return { url: urlOf(host, port), close: closing(server) };
}

const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"];
const lowerCase = (text: string): string => text.toLowerCase();

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

interface Refusal {
  status: number;
  detail: string;
  hint: string;
}

/** What is refused before anything looks at the path: the request as it came, not as a URL parser reads it. */
function refused(request: IncomingMessage, names: readonly string[] | undefined): Refusal | undefined {
  const { method = "", url = "" } = request;
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, detail: `${method} is not allowed`, hint: "this server only answers GET and HEAD" };
  }
  if (url.length > MOST_URL_BYTES) {
    return { status: 414, detail: `the address is longer than ${MOST_URL_BYTES} bytes`, hint: "ask for less at once" };
  }
  if (!url.startsWith("/")) {
    return { status: 400, detail: "the request's target is not a path", hint: "this server is not a proxy" };
  }
  return refusedHost(request.headers.host, names);
}

/**
 * A page of another site can point its own name at this machine and then read
 * what listens on the loopback (DNS rebinding); the name it was called by gives
 * it away. The port is free: it may be forwarded.
 */
function refusedHost(host: string | undefined, names: readonly string[] | undefined): Refusal | undefined {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host ?? "")?.[1]?.toLowerCase();
  if (name === undefined) {
    return { status: 400, detail: "the Host header is missing or malformed", hint: "send the name you connect to" };
  }
  if (names === undefined || names.includes(name) || isLoopback(name)) return undefined;
  return {
    status: 421,
    detail: `this server is not ${JSON.stringify(name.slice(0, 80))}`,
    hint: "call it localhost or 127.0.0.1; behind a proxy, allow the proxy's name where the server is started",
  };
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, detail, hint }: Refusal): void {
  const body = JSON.stringify(problemOf(status, detail, hint));
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    ...(status === 405 ? { Allow: "GET, HEAD" } : {}),
    "Content-Type": PROBLEM_TYPE,
    "Content-Length": Buffer.byteLength(body),
    // Whatever body comes with it is not read.
    Connection: "close",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** A request that HTTP's grammar or our limits refuse; there is no response object for it. */
function answerBrokenRequest(error: Error, socket: Socket): void {
  if (!socket.writable || systemCode(error) === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const code = systemCode(error);
  const [status, detail] =
    code === "HPE_HEADER_OVERFLOW"
      ? [431, "the request's headers are larger than 16 KiB"]
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? [408, "the request did not arrive in time"]
        : [400, "the request is not HTTP"];
  const { title, ...rest } = problemOf(status, detail, "send a plain HTTP/1.1 GET request");
  const body = JSON.stringify({ title, ...rest });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

export async function listen(server: Server, host: string, port: number): Promise<number> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new BitforbitError("usage", `not a port: ${port}`, { hint: "a port is a whole number from 0 to 65535" });
  }
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => reject(notListening(error, host, port));
    server.once("error", failed);
    server.listen({ host, port }, () => {
      server.off("error", failed);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

function notListening(cause: Error, host: string, port: number): BitforbitError {
  switch (systemCode(cause)) {
    case "EADDRINUSE":
      return new BitforbitError("conflict", `port ${port} of ${host} is in use`, {
        cause,
        hint: "end what listens there, choose another port, or choose 0 for any free one",
      });
    case "EACCES":
      return new BitforbitError("lacking", `no right to listen on port ${port} of ${host}`, {
        cause,
        hint: "choose a port above 1023",
      });
    default:
      return new BitforbitError("usage", `cannot listen on ${host}: ${cause.message}`, {
        cause,
        hint: "give a name or an address of this machine",
      });
  }
}

export function urlOf(host: string, port: number): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

export function closing(server: Server): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= new Promise<void>((resolve) => {
      const late = setTimeout(() => server.closeAllConnections(), GRACE_MILLISECONDS);
      server.close(() => {
        clearTimeout(late);
        resolve();
      });
    });
    return closed;
  };
}
