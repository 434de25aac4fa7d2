/**
 * One exchange with a server that may be slow, broken or hostile: bounded in
 * time, redirects and size, and tried again where that can help. Knows nothing
 * of registries.
 */
import { systemClock } from "../clock.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { isLoopback } from "./reference.ts";

export interface HttpOptions {
  signal?: AbortSignal;
  /** How long a server may be silent; a minute by default. */
  idleMilliseconds?: number;
  /** Tries in all when a server is busy or a connection breaks; 5 by default. */
  attempts?: number;
  /** How to wait; a test need not. */
  pause?: (milliseconds: number) => Promise<void>;
  /** Hosts that are spoken to without TLS; this machine's own always may be. */
  plainHttp?: readonly string[];
}

export interface HttpRequest {
  method: string;
  url: URL;
  headers: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` only, never to where it redirects. */
  authorization?: string | undefined;
  body?: string;
}

/** An answer whose body is yet to be read; `close` must be called when it is not read to its end. */
export interface HttpAnswer {
  status: number;
  headers: Headers;
  /** Where it came from, after redirects. */
  url: URL;
  chunks(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
const BUSY = [408, 425, 429, 500, 502, 503, 504];
/** A server that asks for more patience than this is told to the person instead. */
const MAX_WAIT = 60_000;

/** Sends a request until there is an answer that is neither a redirect nor "busy". Throws `outside`. */
export async function exchange(request: HttpRequest, options: HttpOptions = {}): Promise<HttpAnswer> {
  const attempts = options.attempts ?? 5;
  for (let attempt = 1; ; attempt++) {
    let wait = backOff(attempt);
    try {
      const answer = await followed(request, options);
      if (!BUSY.includes(answer.status)) return answer;
      await answer.close();
      const asked = retryAfter(answer.headers.get("retry-after"));
      const what = `${answer.url.host} answers ${answer.status} to ${request.method} ${answer.url.pathname}`;
      if (asked !== undefined && asked > MAX_WAIT) {
        throw new BitforbitError("outside", `${what} and asks to wait ${Math.ceil(asked / 1000)} seconds`, {
          hint: "run again later",
        });
      }
      if (attempt >= attempts) throw new BitforbitError("outside", `${what}, ${attempts} times in a row`);
      wait = asked ?? wait;
    } catch (error) {
      if (error instanceof BitforbitError || attempt >= attempts) throw error instanceof Broken ? error.told() : error;
      if (!(error instanceof Broken)) throw error;
    }
    await (options.pause ?? sleep(options.signal))(wait);
  }
}

/** A connection that broke: worth another try. */
export class Broken extends Error {
  readonly host: string;

  constructor(host: string, cause: unknown) {
    super(reasonOf(cause), { cause });
    this.host = host;
  }

  told(): BitforbitError {
    return new BitforbitError("outside", `cannot talk to ${this.host}: ${this.message}`, {
      cause: this.cause,
      hint: "check the name, the network and, for a server of your own, its certificate (NODE_EXTRA_CA_CERTS)",
    });
  }
}

/** Doubling from a quarter of a second. */
export function backOff(attempt: number): number {
  return Math.min(250 * 2 ** (attempt - 1), MAX_WAIT);
}

export function sleep(signal: AbortSignal | undefined): (milliseconds: number) => Promise<void> {
  return (milliseconds) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const timer = setTimeout(done, milliseconds);
      signal?.addEventListener("abort", done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        if (signal?.aborted === true) reject(signal.reason as Error);
        else resolve();
      }
    });
}

/** Milliseconds of a `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. */
export function retryAfter(value: string | null, now: number = systemClock.now()): number | undefined {
  if (value === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const at = /GMT\s*$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

async function followed(request: HttpRequest, options: HttpOptions): Promise<HttpAnswer> {
  let url = request.url;
  for (let redirects = 0; ; redirects++) {
    const own = url.origin === request.url.origin;
    const answer = await once({ ...request, url, authorization: own ? request.authorization : undefined }, options);
    if (!REDIRECTS.includes(answer.status)) return answer;
    await answer.close();
    const location = answer.headers.get("location");
    if (redirects >= MAX_REDIRECTS) {
      throw new BitforbitError(
        "outside",
        `${request.url.host} redirects over ${MAX_REDIRECTS} times, last to ${shown(url)}`,
      );
    }
    if (location === null || !URL.canParse(location, url.href)) {
      throw new BitforbitError("outside", `${url.host} redirects to nowhere (${answer.status})`);
    }
    url = new URL(location, url);
    checkScheme(url, options);
  }
}

/** Throws `refused` for an address that others could read or change on the way. */
export function checkScheme(url: URL, options: HttpOptions): void {
  if (url.protocol === "https:") return;
  if (url.protocol === "http:" && (isLoopback(url.host) || (options.plainHttp ?? []).includes(url.host))) return;
  throw new BitforbitError("refused", `${shown(url)} is not https`, {
    hint: "plain http is spoken with this machine itself only, or with hosts that are named for it",
  });
}

/** An address without what may be secret: signed URLs carry keys in their query. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname.slice(0, 200)}`;
}

async function once(request: HttpRequest, options: HttpOptions): Promise<HttpAnswer> {
  const idle = options.idleMilliseconds ?? 60_000;
  const controller = new AbortController();
  const silent = (): void => controller.abort(new Error(`silent for ${Math.ceil(idle / 1000)} seconds`));
  let timer = setTimeout(silent, idle);
  const { signal } = options;
  const abort = (): void => controller.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", abort, { once: true });
  const finish = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  const failed = (error: unknown): unknown => {
    finish();
    return signal?.aborted === true ? signal.reason : new Broken(request.url.host, error);
  };
  let response: Response;
  try {
    response = await fetch(request.url, {
      method: request.method,
      headers: {
        ...request.headers,
        // What is verified are the bytes as they are stored.
        "accept-encoding": "identity",
        ...(request.authorization === undefined ? {} : { authorization: request.authorization }),
      },
      redirect: "manual",
      signal: controller.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
  } catch (error) {
    throw failed(error);
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      if (response.body === null) return;
      for await (const chunk of response.body) {
        clearTimeout(timer);
        yield chunk;
        timer = setTimeout(silent, idle);
      }
    } catch (error) {
      throw failed(error);
    } finally {
      finish();
    }
  }
  const close = async (): Promise<void> => {
    finish();
    await response.body?.cancel().catch(() => undefined);
  };
  return { status: response.status, headers: response.headers, url: request.url, chunks, close };
}

/** The whole body, of at most `most` bytes. Throws `limit` naming `what`. */
export async function wholeBody(answer: HttpAnswer, most: number, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.chunks()) {
    size += chunk.length;
    if (size > most) throw new BitforbitError("limit", `${what} from ${answer.url.host} is larger than ${most} bytes`);
    parts.push(chunk);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** `fetch failed` says nothing: its cause does. */
function reasonOf(error: unknown): string {
  let deepest = error;
  for (let depth = 0; depth < 5; depth++) {
    const cause = deepest instanceof Error ? deepest.cause : undefined;
    if (cause === undefined) break;
    deepest = cause;
  }
  const code = systemCode(deepest);
  const message = messageOf(deepest);
  return code === undefined || message.includes(code) ? message || "the connection broke" : `${message} (${code})`;
}
