/** The side of the proxy that clients see: HTTP/1.1, absolute-form requests and CONNECT (RFC 9110, RFC 9112). */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import type { Authority } from "./authority.ts";

/** One request of a client in the sandbox. */
export interface Asked {
  method: string;
  /** Absolute, normalised (WHATWG), without user name, password and fragment. */
  url: string;
  request: IncomingMessage;
  response: ServerResponse;
  /** Port that the client connected from. */
  port: number;
}

export interface ProxyOptions {
  authority: Authority;
  /** Answers the request. What it throws becomes status 502 when nothing was sent yet, otherwise a broken answer. */
  answer(asked: Asked): Promise<void>;
  /** A client ended the TLS handshake: it does not trust the authority, or expects a certificate of its own. */
  onRefusedHandshake(host: string, reason: string, port: number): void;
}

export interface Proxy {
  /** Takes no more connections, and ends when every answer is given; with `now`, breaks them off. */
  close(now?: boolean): Promise<void>;
}

const HANDSHAKE_MILLISECONDS = 30_000;
const MAX_CONNECTIONS = 2000;

/** Where the requests of a tunnel go. */
interface Tunnel {
  origin: string;
  port: number;
}

/** Serves clients on `server`, which listens already. */
export function serveProxy(server: Server, options: ProxyOptions): Proxy {
  const tunnels = new WeakMap<object, Tunnel>();
  const sockets = new Set<Duplex>();
  const pending = new Set<Promise<void>>();
  const front = createServer({ maxHeaderSize: 64 << 10, requestTimeout: 0, keepAliveTimeout: 60_000 });
  const accept = (socket: Socket): void => {
    if (sockets.size >= MAX_CONNECTIONS) return void socket.destroy();
    track(socket);
    front.emit("connection", socket);
  };
  const track = (socket: Duplex): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  };
  front.on("request", (request, response) => {
    const work = answerOne(request, response, tunnels.get(request.socket), options);
    pending.add(work);
    void work.finally(() => pending.delete(work));
  });
  front.on("clientError", (_, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else socket.destroy();
  });
  front.on("upgrade", (_, socket) => {
    socket.end("HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  front.on("connect", (request, socket, head) => {
    const target = targetOf(request.url ?? "");
    if (target === undefined) {
      return void socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    const port = (request.socket as Socket).remotePort ?? 0;
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    if (head.length > 0) socket.unshift(head);
    enterTunnel(socket as Socket, target, port, options, (inner, scheme) => {
      if (inner !== socket) track(inner);
      tunnels.set(inner, { origin: originOf(scheme, target), port });
      front.emit("connection", inner);
    });
  });
  server.on("connection", accept);
  const close = async (now = false): Promise<void> => {
    server.off("connection", accept);
    server.close();
    if (now) for (const socket of sockets) socket.destroy();
    await Promise.all(pending);
    for (const socket of sockets) socket.destroy();
  };
  return { close };
}

interface Target {
  /** Without brackets. */
  host: string;
  port: number;
}

/** `host:port` of a CONNECT request (RFC 9112, section 3.2.3). */
function targetOf(authority: string): Target | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^\s:@/?#[\]]{1,255})):(\d{1,5})$/.exec(authority) ?? [];
  const port = Number(digits);
  const host = (bracketed ?? plain)?.toLowerCase();
  return host === undefined || port === 0 || port > 65535 ? undefined : { host, port };
}

function originOf(scheme: "http" | "https", { host, port }: Target): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Says, by the first byte, whether the client speaks TLS in the tunnel, and ends the TLS. */
function enterTunnel(
  socket: Socket,
  target: Target,
  port: number,
  options: ProxyOptions,
  open: (inner: Duplex, scheme: "http" | "https") => void,
): void {
  const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MILLISECONDS);
  socket.once("close", () => clearTimeout(timer));
  socket.once("readable", () => {
    const first = socket.read() as Buffer | null;
    if (first === null || first.length === 0) return void socket.destroy();
    socket.unshift(first);
    // A handshake record is of type 22 (RFC 8446, section 5.1).
    if (first[0] !== 0x16) {
      clearTimeout(timer);
      return open(socket, "http");
    }
    endTls(socket, target, port, options, (secure) => {
      clearTimeout(timer);
      open(secure, "https");
    });
  });
}

function endTls(
  socket: Socket,
  target: Target,
  port: number,
  { authority, onRefusedHandshake }: ProxyOptions,
  open: (secure: TLSSocket) => void,
): void {
  let secure: TLSSocket;
  try {
    secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: authority.contextFor(target.host),
      SNICallback: (name, done) => {
        try {
          done(null, authority.contextFor(name));
        } catch (error) {
          done(error as Error);
        }
      },
      ALPNProtocols: ["http/1.1"],
    });
  } catch {
    return void socket.destroy();
  }
  let refused: string | undefined;
  let established = false;
  secure.on("error", (error) => {
    refused ??= systemCode(error) ?? messageOf(error);
    secure.destroy();
  });
  secure.once("close", () => {
    if (!established) onRefusedHandshake(target.host, refusalOf(refused), port);
  });
  secure.once("secure", () => {
    established = true;
    open(secure);
  });
}

/** OpenSSL's name of the alert, in words. */
function refusalOf(code: string | undefined): string {
  const alert = /ALERT_([A-Z_]+)$/.exec(code ?? "")?.[1] ?? "";
  if (/UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE/.test(alert)) {
    return "it does not trust the authority of this run: it pins certificates, or reads its authorities from a place of its own";
  }
  if (code === undefined || code === "ECONNRESET" || code === "EPIPE") {
    return "it went away during the TLS handshake, as clients do that do not trust the authority of this run";
  }
  return `the TLS handshake failed (${code})`;
}

async function answerOne(
  request: IncomingMessage,
  response: ServerResponse,
  tunnel: Tunnel | undefined,
  { answer }: ProxyOptions,
): Promise<void> {
  response.on("error", () => response.destroy());
  try {
    const url = absoluteUrl(request.url ?? "", tunnel?.origin);
    if (url === undefined) {
      return await refuse(response, 400, "this is a proxy: it takes absolute-form http requests and CONNECT\n");
    }
    const port = tunnel?.port ?? request.socket.remotePort ?? 0;
    await answer({ method: request.method ?? "GET", url, request, response, port });
  } catch (error) {
    if (response.headersSent) return void response.destroy();
    const hint = error instanceof BitforbitError && error.hint !== undefined ? `\n${error.hint}` : "";
    await refuse(response, 502, `${messageOf(error)}${hint}\n`);
  }
}

/** Answers with a few words of our own, as text. */
export async function refuse(response: ServerResponse, status: number, text: string, reason?: string): Promise<void> {
  const body = Buffer.from(text);
  const headers = { "content-type": "text/plain; charset=utf-8", "content-length": body.length };
  if (reason === undefined) response.writeHead(status, headers);
  else response.writeHead(status, reason, headers);
  await ended(response, body);
}

/** Ends an answer, and waits until it is handed to the system or the client is gone. */
export async function ended(response: ServerResponse, last?: Uint8Array): Promise<void> {
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    response.end(last, resolve);
  });
}

/** Undefined when it is no URL of http or https. */
function absoluteUrl(target: string, origin: string | undefined): string | undefined {
  const url = URL.parse(target.startsWith("/") && origin !== undefined ? `${origin}${target}` : target);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  url.username = "";
  url.password = "";
  url.hash = "";
  return url.href;
}
