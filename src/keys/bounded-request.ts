/** One request to a key service: bounded in time and size, tried again where the service says "not now", never where it says no. */
import { BitforbitError } from "../errors.ts";
import { type Json, isObject, type JsonObject, parseJson } from "../json.ts";
import { neutralised } from "../bytes.ts";

export interface ServiceOptions {
  environment?: Readonly<Record<string, string | undefined>>;
  /** Of one attempt. */
  timeoutMilliseconds?: number;
  /** Waits between attempts; tests do not. */
  pause?: (milliseconds: number) => Promise<void>;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Folder for what is compiled once a machine. */
  cache?: string;
}

export interface ServiceRequest {
  /** For messages: the service and the key. */
  what: string;
  method: "GET" | "POST";
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string | Uint8Array<ArrayBuffer>;
  /** What must never be seen in a message: a token, a secret. */
  secrets: readonly string[];
  /** Whether an answer that looks like a refusal means "not now": some services throttle with status 400. */
  busy?: (body: JsonObject) => boolean;
}

const ATTEMPTS = 4;
const MAX_ANSWER = 1 << 20;
const MAX_PAUSE = 10_000;

/** The JSON object that the service answers. Throws `outside` when it fails, refuses, or answers what is not JSON. */
export async function askService(request: ServiceRequest, options: ServiceOptions): Promise<JsonObject> {
  const { status, bytes } = await askForBytes(request, options);
  const body = bodyOf(bytes);
  if (body !== undefined) return body;
  throw new BitforbitError("outside", `${request.what}: answered ${status} with what is no JSON object`, {
    hint: REFUSED_HINT,
  });
}

/** As `askService`, with the answer as it came. */
export async function askForBytes(
  request: ServiceRequest,
  options: ServiceOptions,
): Promise<{ status: number; bytes: Uint8Array }> {
  const pause =
    options.pause ?? (async (milliseconds) => await new Promise((resolve) => setTimeout(resolve, milliseconds)));
  for (let attempt = 1; ; attempt++) {
    const answer = await attemptOnce(request, options.timeoutMilliseconds ?? 10_000);
    if (answer.ok) return answer;
    if (!answer.again || attempt === ATTEMPTS) {
      const tries = answer.again ? ` after ${attempt} attempts` : "";
      throw new BitforbitError("outside", `${request.what}: ${answer.message}${tries}`, {
        hint: answer.again ? "nothing was signed: try again later" : REFUSED_HINT,
      });
    }
    await pause(Math.min(MAX_PAUSE, answer.after ?? 250 * 2 ** attempt));
  }
}

const REFUSED_HINT = "nothing was signed: see the service's own log for why";

type Answer =
  | { ok: true; status: number; bytes: Uint8Array }
  | { ok: false; message: string; again: boolean; after?: number | undefined };

async function attemptOnce(request: ServiceRequest, timeoutMilliseconds: number): Promise<Answer> {
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      // A redirect would carry the credentials to wherever it leads.
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMilliseconds),
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    bytes = await boundedBytes(response);
  } catch (error) {
    if (error instanceof BitforbitError) return { ok: false, message: error.message, again: false };
    return { ok: false, message: reasonOf(error), again: true };
  }
  if (response.ok) return { ok: true, status: response.status, bytes };
  const body = bodyOf(bytes);
  const again = response.status === 429 || response.status >= 500 || (request.busy?.(body ?? {}) ?? false);
  const told = toldBy(body, request.secrets);
  const message = `answered ${response.status}${told === "" ? "" : `: ${told}`}`;
  return { ok: false, message, again, after: retryAfter(response.headers.get("retry-after")) };
}

async function boundedBytes(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > MAX_ANSWER) throw new BitforbitError("limit", `answered with more than ${MAX_ANSWER} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function bodyOf(bytes: Uint8Array): JsonObject | undefined {
  try {
    const body = parseJson(bytes, "the answer");
    return isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** The service's own words for what is wrong, from wherever it puts them, without what must not be seen. */
function toldBy(body: JsonObject | undefined, secrets: readonly string[]): string {
  const { errors, error, message, __type: type, error_description: description } = body ?? {};
  const inner = isObject(error) ? [error["code"], error["status"], error["message"]] : [error, description];
  const words = [type, ...(Array.isArray(errors) ? errors : []), ...inner, message ?? body?.["Message"]]
    .filter((word): word is string | number => typeof word === "string" || typeof word === "number")
    .join(" ");
  const shown = secrets.reduce((text, secret) => (secret === "" ? text : text.replaceAll(secret, "…")), words);
  return neutralised(shown).slice(0, 200);
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "no answer in time";
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return `cannot be reached${code === "" ? "" : ` (${code})`}`;
}

function retryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,4}$/.test(header) ? Number(header) * 1000 : undefined;
}

/** A text field of an answer, by its path. Throws `outside`. */
export function answered(body: Json | undefined, path: readonly string[], what: string): string {
  let value = body;
  for (const name of path) value = isObject(value) ? value[name] : undefined;
  if (typeof value === "string") return value;
  throw new BitforbitError("outside", `${what}: the answer has no ${path.join(".")}`);
}

/** A variable that must be set. Throws `lacking`. */
export function required(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  what: string,
): string {
  const value = environment[name];
  if (value !== undefined && value !== "") return value;
  throw new BitforbitError("lacking", `${what}: ${name} is not set`, {
    hint: `set ${name} in the environment; bitforbit keeps no credentials`,
  });
}

/** An address with which credentials may be sent: HTTPS, or this very machine. Throws `refused`. */
export function safeAddress(text: string, what: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    throw new BitforbitError("input", `${what}: not an address: ${JSON.stringify(text.slice(0, 200))}`, {
      cause: error,
    });
  }
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))) return url;
  throw new BitforbitError("refused", `${what}: ${url.protocol}//${url.host} would be sent credentials in the clear`, {
    hint: "use https",
  });
}

/** `https://HOST`, but plain HTTP to this machine itself, where nobody listens in between. */
export function addressOf(host: string): string {
  return `${isLoopback(host.replace(/:\d+$/, "")) ? "http" : "https"}://${host}`;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Bytes of base64 or base64url from a service. Throws `outside`. */
export function decoded(text: string, encoding: "base64" | "base64url", what: string): Uint8Array {
  const bytes = Buffer.from(text, encoding);
  if (bytes.length > 0 && unpadded(bytes.toString(encoding)) === unpadded(text)) return new Uint8Array(bytes);
  throw new BitforbitError("outside", `${what}: the answer is not ${encoding}`);
}

const unpadded = (text: string): string => text.replace(/=+$/, "");
