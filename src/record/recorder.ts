/** The recording proxy: passes what clients ask for, and keeps what was answered. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { LookupFunction, Server } from "node:net";
import { Transform } from "node:stream";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { Authority } from "./authority.ts";
import { type BodyWriter, BodyStore } from "./bodies.ts";
import { codingOf, wholeOf } from "./decode.ts";
import { endToEnd, headerOf, pairsOf, recordedHeaders, upstreamHeaders } from "./headers.ts";
import { type Asked, type Proxy, ended, refuse, serveProxy } from "./proxy.ts";
import { type Exchange, type Recording, recordingOf, requestKey } from "./recording.ts";
import { askedForm, sendStored } from "./stored.ts";
import { type AskMore, type Rewritten, TimeTravel } from "./time-travel.ts";
import { openUpstream, type Upstream } from "./upstream.ts";

/** What the one who reads the lock should know of how it went. */
export interface Note {
  kind:
    | "changed" // the same request was answered with other bytes within this run; the latter are kept
    | "cut-off" // an answer ended early; it is not recorded
    | "unreachable" // nothing answered
    | "not-recorded" // 408, 429, 5xx: passed on, and nothing to build on
    | "not-passed" // a method that changes things
    | "refused-handshake" // a client does not trust the authority of this run
    | "too-large"
    | "beyond-time"; // an answer that cannot be filtered to what was published by then
  url: string;
  message: string;
}

export interface RecorderOptions {
  authority: Authority;
  /** Bodies go to `<cache>/bodies`. */
  cache: string;
  /** The caller's: proxies and authorities. Default: this process's. */
  environment?: Readonly<Record<string, string | undefined>>;
  /** Further authorities to trust upstream, PEM text. */
  authorities?: readonly string[];
  lookup?: LookupFunction;
  /** Seconds since 1970: hides what was published later, where registries' metadata tell. */
  asOf?: number;
  /** Bytes of one body, and of all together. */
  limits?: { body?: number; total?: number };
  idleMilliseconds?: number;
  onNote?(note: Note): void;
}

export interface Recorder {
  /** Ends when every body is durable. Throws `outside` when the disk was full. */
  close(): Promise<Recording>;
}

const PASSED = new Set(["GET", "HEAD", "POST", "OPTIONS"]);
const LIMITS = { body: 16 * 2 ** 30, total: 256 * 2 ** 30 };
const EMPTY: Digest = digestOf("");

/** Records what goes through `server`, which listens already. */
export function startRecorder(server: Server, options: RecorderOptions): Recorder {
  const upstream = openUpstream({ environment: process.env, ...options });
  const run = new Run(options, upstream);
  const proxy: Proxy = serveProxy(server, {
    authority: options.authority,
    answer: async (asked) => await run.answer(asked),
    onRefusedHandshake: (host, reason) => {
      options.onNote?.({
        kind: "refused-handshake",
        url: `https://${host}/`,
        message: `a client refused ${host}: ${reason}`,
      });
    },
  });
  return {
    close: async () => {
      await proxy.close(true);
      upstream.close();
      await run.bodies.settle();
      return recordingOf(run.exchanges.values());
    },
  };
}

class Run {
  readonly exchanges = new Map<string, Exchange>();
  readonly bodies: BodyStore;
  readonly #options: RecorderOptions;
  readonly #upstream: Upstream;
  readonly #timeTravel: TimeTravel | undefined;
  #total = 0;

  constructor(options: RecorderOptions, upstream: Upstream) {
    this.#options = options;
    this.#upstream = upstream;
    this.bodies = new BodyStore(options.cache);
    this.#timeTravel = options.asOf === undefined ? undefined : new TimeTravel(options.asOf);
  }

  #note(kind: Note["kind"], url: string, message: string): void {
    this.#options.onNote?.({ kind, url, message });
  }

  async answer(asked: Asked): Promise<void> {
    const { method, url, request, response } = asked;
    if (!PASSED.has(method)) {
      this.#note("not-passed", url, `${method} ${url}: a fetch may read only`);
      return await refuse(response, 405, `${method} is not passed on: a fetch may read only\n`);
    }
    const stop = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) stop.abort();
    });
    const body = bodyOf(request);
    const answer = await this.#ask(asked, body, stop.signal);
    // 1xx never come here; 206 and 304 were not asked for.
    if (isKept(answer.statusCode ?? 0)) await this.#keep(asked, answer, body);
    else await this.#pass(asked, answer);
  }

  async #ask(
    { method, url, request }: Asked,
    body: RequestBody | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const own = upstreamHeaders(request.rawHeaders, url);
    const headers = this.#timeTravel?.requestHeaders(url, own) ?? own;
    try {
      return await this.#upstream.send({
        method,
        url,
        headers,
        signal,
        ...(body === undefined ? {} : { body: body.stream }),
      });
    } catch (error) {
      if (!signal.aborted) this.#note("unreachable", url, messageOf(error));
      throw error;
    }
  }

  async #asOf({ method, url, request }: Asked, answer: IncomingMessage): Promise<Rewritten | undefined> {
    if (this.#timeTravel === undefined || method !== "GET") return undefined;
    const own = upstreamHeaders(request.rawHeaders, url);
    const ask: AskMore = async (more, verb) => {
      const headers: Exchange["headers"] = [
        ...own.filter(([name]) => name !== "accept" && name !== "accept-encoding"),
        ["accept-encoding", "identity"],
      ];
      const signal = AbortSignal.timeout(60_000);
      const got = await this.#upstream.send({ method: verb, url: more, headers: headers, signal });
      const body = await wholeOf(got, 16 << 20, more);
      if (got.statusCode !== 200) return undefined;
      return { headers: recordedHeaders(got.rawHeaders, verb), body, lastModified: got.headers["last-modified"] };
    };
    return await this.#timeTravel.rewrite(url, request.headers.accept ?? "", answer, ask);
  }

  /** Passes an answer that nothing can be built on. */
  async #pass({ method, url, response }: Asked, answer: IncomingMessage): Promise<void> {
    this.#note("not-recorded", url, `${method} ${url} was answered with status ${answer.statusCode}`);
    response.statusCode = answer.statusCode ?? 502;
    for (const [name, value] of endToEnd(answer.rawHeaders)) response.appendHeader(name, value);
    for await (const chunk of answer as AsyncIterable<Buffer>) await sent(response, chunk);
    await ended(response);
  }

  async #keep(asked: Asked, answer: IncomingMessage, body: RequestBody | undefined): Promise<void> {
    const { method, url, request, response } = asked;
    const rewritten = await this.#asOf(asked, answer);
    if (rewritten?.cannot !== undefined) this.#note("beyond-time", url, `${url}: ${rewritten.cannot}`);
    const headers = rewritten?.headers ?? recordedHeaders(answer.rawHeaders, method);
    const status = answer.statusCode ?? 0;
    // A part, or the time machine's answer, is sent from what was stored; the whole as it comes.
    const later = request.headers.range !== undefined && method === "GET" && status === 200;
    if (!later) this.#head(asked, answer, status, headers, rewritten?.body);
    const writer = await this.bodies.writer();
    try {
      await this.#copy(rewritten?.body ?? answer, writer, later ? undefined : asked);
      if (rewritten?.body === undefined && !answer.complete) throw new Error("the connection ended early");
    } catch (error) {
      await writer.discard();
      if (response.destroyed && !response.writableFinished) return;
      answer.destroy();
      this.#note(
        error instanceof BitforbitError && error.code === "limit" ? "too-large" : "cut-off",
        url,
        `${url}: ${messageOf(error)}`,
      );
      throw error;
    }
    const kept = await writer.keep();
    const accept = /\baccept(?!-)/i.test(headerOf(headers, "vary") ?? "") ? request.headers.accept : undefined;
    const exchange: Exchange = {
      method,
      url,
      ...(accept === undefined ? {} : { accept }),
      ...(body === undefined ? {} : { request: body.digest() }),
      status,
      headers,
      digest: kept.digest,
      size: kept.size,
      checksums: kept.checksums,
    };
    this.#enter(exchange);
    if (later) await sendStored(exchange, this.#options.cache, response, askedForm(request));
    else await ended(response);
  }

  /** What the client sees is what a replay will show: recorded headers only. */
  #head(
    { method, response }: Asked,
    answer: IncomingMessage,
    status: number,
    headers: Exchange["headers"],
    body?: Uint8Array,
  ): void {
    response.statusCode = status;
    for (const [name, value] of headers) response.appendHeader(name, value);
    const length = body?.length ?? headerOf(pairsOf(answer.rawHeaders), "content-length");
    if (length !== undefined && method !== "HEAD" && status !== 204) response.setHeader("content-length", length);
  }

  async #copy(from: IncomingMessage | Uint8Array, writer: BodyWriter, to: Asked | undefined): Promise<void> {
    const { body = LIMITS.body, total = LIMITS.total } = this.#options.limits ?? {};
    const chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array> = from instanceof Uint8Array ? [from] : from;
    for await (const chunk of chunks) {
      this.#total += chunk.length;
      if (writer.size + chunk.length > body) throw new BitforbitError("limit", `a body of more than ${body} bytes`);
      if (this.#total > total) throw new BitforbitError("limit", `more than ${total} bytes in one run`);
      await writer.write(chunk);
      if (to !== undefined) await sent(to.response, chunk);
    }
  }

  #enter(exchange: Exchange): void {
    const key = requestKey(exchange);
    const before = this.exchanges.get(key);
    // A challenge (401) before the answer, or a failure after it, is not what the build needs.
    if (before !== undefined && before.status < 400 && exchange.status >= 400) return;
    this.exchanges.set(key, exchange);
    if (before === undefined || before.digest === exchange.digest || before.status !== exchange.status) return;
    // Of one document, compressed or not, both are the same.
    if (codingOf(before.headers) !== codingOf(exchange.headers)) return;
    this.#note(
      "changed",
      exchange.url,
      `${exchange.url} gave other bytes when it was asked again: ${before.digest}, then ${exchange.digest}`,
    );
  }
}

/** 2xx but partial content, redirects, and client errors that say something about what is there. */
function isKept(status: number): boolean {
  if (status === 206 || status === 304) return false;
  return status >= 200 && status < 500 && ![407, 408, 425, 429].includes(status);
}

interface RequestBody {
  stream: Transform;
  /** Once all of it was read. */
  digest(): Digest;
}

/** The request's body, hashed as it passes; undefined when there is none. */
function bodyOf(request: IncomingMessage): RequestBody | undefined {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if ((length === undefined || length === "0") && coding === undefined) return undefined;
  const hasher = createHash("sha256");
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      hasher.update(chunk);
      done(null, chunk);
    },
  });
  request.on("error", (error) => stream.destroy(error));
  request.pipe(stream);
  let digest: Digest | undefined;
  return { stream, digest: () => (digest ??= stream.readableEnded ? `sha256:${hasher.digest("hex")}` : EMPTY) };
}

/** Writes, and waits while the client is slower than we are. */
async function sent(response: Asked["response"], chunk: Uint8Array): Promise<void> {
  if (response.destroyed) throw new Error("the client went away");
  if (response.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      response.off("drain", go);
      response.off("close", go);
      resolve();
    };
    response.on("drain", go);
    response.on("close", go);
  });
}
