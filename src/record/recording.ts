/** A recording: what a fetch phase asked for and was answered, as JSON lines. Bodies are in `bodies.ts`. */
import { open } from "node:fs/promises";
import { type Digest, isDigest } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { isObject, type JsonObject, parseJson } from "../json.ts";
import type { Checksums } from "../material.ts";
import { byteOrder } from "../order.ts";

/** One request that was answered, and what the answer was. */
export interface Exchange {
  /** Upper case. */
  method: string;
  /** As the client asked, absolute, with its query, without credentials. */
  url: string;
  /** The request's Accept header, where the answer depends on it (its Vary says so). */
  accept?: string;
  /** Of the request's body, when it had one. */
  request?: Digest;
  status: number;
  /** Of the response: those that clients act on, names in lower case, in order of name. */
  headers: [name: string, value: string][];
  /** Of the body as it was transferred: a content-encoding is kept. */
  digest: Digest;
  /** Bytes of the body as it was transferred. */
  size: number;
  /** The artifact that the body is, when protocol and content tell. */
  purl?: string;
  /** Of an artifact's body. */
  checksums?: Checksums;
}

/** All that a fetch phase asked for, in byte order of URL, then method, Accept, request body. */
export interface Recording {
  version: 1;
  exchanges: Exchange[];
}

/** Of a fetch that asked for nothing. */
export const NOTHING_ASKED: Recording = { version: 1, exchanges: [] };

const MAX_BYTES = 1 << 30;
const MAX_LINE = 1 << 20;
const MAX_EXCHANGES = 1_000_000;

/** What tells one request from another. */
export function requestKey(exchange: Pick<Exchange, "method" | "url" | "accept" | "request">): string {
  return [exchange.url, exchange.method, exchange.accept ?? "", exchange.request ?? ""].join("\n");
}

/** In their order, one a request: of two the latter. */
export function recordingOf(exchanges: Iterable<Exchange>): Recording {
  const byKey = new Map<string, Exchange>();
  for (const exchange of exchanges) byKey.set(requestKey(exchange), exchange);
  const sorted = [...byKey].sort(([a], [b]) => byteOrder(a, b)).map(([, exchange]) => exchange);
  return { version: 1, exchanges: sorted };
}

/** Writes a recording: a line that says what it is, then a line an exchange, keys in a fixed order. */
export async function saveRecording(path: string, recording: Recording): Promise<void> {
  const lines = [
    JSON.stringify({ type: "recording", version: recording.version, exchanges: recording.exchanges.length }),
  ];
  for (const item of recording.exchanges) {
    const { method, url, accept, request, status, headers, digest, size, purl, checksums } = item;
    const { sha1, sha256, sha384, sha512, goH1 } = checksums ?? {};
    const sums = checksums === undefined ? undefined : { sha1, sha256, sha384, sha512, goH1 };
    lines.push(JSON.stringify({ method, url, accept, request, status, headers, digest, size, purl, checksums: sums }));
  }
  await writeDurable(path, `${lines.join("\n")}\n`);
}

/** Reads a recording; undefined when there is none. Throws `input` naming the line, `limit` beyond 1 GiB. */
export async function readRecording(path: string): Promise<Recording | undefined> {
  const file = await open(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    if ((await file.stat()).size > MAX_BYTES)
      throw new BitforbitError("limit", `${path}: larger than ${MAX_BYTES} bytes`);
    const exchanges: Exchange[] = [];
    let expected: number | undefined;
    let line = 0;
    for await (const text of file.readLines()) {
      const place = `${path}:${++line}`;
      if (text.length > MAX_LINE) throw new BitforbitError("limit", `${place}: longer than ${MAX_LINE} characters`);
      const value = parseJson(text, place);
      if (!isObject(value)) throw bad(place, "not an object");
      if (expected === undefined) expected = headOf(value, place);
      else exchanges.push(exchangeOf(value, place));
    }
    if (exchanges.length !== expected) {
      throw bad(
        path,
        `it states ${expected ?? "no number of"} exchanges and holds ${exchanges.length}: it was cut off or edited`,
      );
    }
    return recordingOf(exchanges);
  } finally {
    await file.close();
  }
}

function bad(place: string, reason: string): BitforbitError {
  return new BitforbitError("input", `${place}: ${reason}`, { hint: "'bitforbit lock' records anew" });
}

function headOf(value: JsonObject, place: string): number {
  const { type, version, exchanges } = value;
  if (type !== "recording") throw bad(place, "not a recording");
  if (version !== 1) {
    throw new BitforbitError("input", `${place}: a recording of version ${JSON.stringify(version)}`, {
      hint: "this bitforbit knows version 1: use the one that made it, or record anew",
    });
  }
  if (typeof exchanges !== "number" || !Number.isSafeInteger(exchanges) || exchanges < 0 || exchanges > MAX_EXCHANGES) {
    throw bad(place, "no number of exchanges");
  }
  return exchanges;
}

const CHECKSUMS: Readonly<Record<keyof Checksums, RegExp>> = {
  sha1: /^[0-9a-f]{40}$/,
  sha256: /^[0-9a-f]{64}$/,
  sha384: /^[0-9a-f]{96}$/,
  sha512: /^[0-9a-f]{128}$/,
  goH1: /^h1:[A-Za-z0-9+/]{43}=$/,
};

function exchangeOf(value: JsonObject, place: string): Exchange {
  const { method, url, accept, request, status, headers, digest, size, purl, checksums } = value;
  if (typeof method !== "string" || !/^[A-Z]{1,20}$/.test(method)) throw bad(place, "no method");
  if (typeof url !== "string" || !/^https?:\/\//.test(url) || URL.parse(url) === null) throw bad(place, "no URL");
  if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 499)
    throw bad(place, "no status");
  if (typeof digest !== "string" || !isDigest(digest)) throw bad(place, "no digest");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw bad(place, "no size");
  if (accept !== undefined && typeof accept !== "string") throw bad(place, "accept is no text");
  if (request !== undefined && (typeof request !== "string" || !isDigest(request)))
    throw bad(place, "request is no digest");
  if (purl !== undefined && (typeof purl !== "string" || !purl.startsWith("pkg:"))) throw bad(place, "not a purl");
  return {
    method,
    url,
    ...(accept === undefined ? {} : { accept }),
    ...(request === undefined ? {} : { request }),
    status,
    headers: headersOf(headers, place),
    digest,
    size,
    ...(purl === undefined ? {} : { purl }),
    ...(checksums === undefined ? {} : { checksums: checksumsOf(checksums, place) }),
  };
}

/** A header that could not be sent again is refused here, not in the middle of an answer. */
function headersOf(value: unknown, place: string): Exchange["headers"] {
  if (!Array.isArray(value)) throw bad(place, "no headers");
  return value.map((pair: unknown): [string, string] => {
    const [name, content] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof name !== "string" || !/^[a-z0-9-]+$/.test(name)) throw bad(place, "not a header's name");
    if (typeof content !== "string" || !/^[\t\x20-\x7e\x80-\xff]*$/.test(content))
      throw bad(place, `not a value of ${name}`);
    return [name, content];
  });
}

function checksumsOf(value: unknown, place: string): Checksums {
  if (!isObject(value)) throw bad(place, "checksums are no object");
  const sums: Checksums = {};
  for (const [name, text] of Object.entries(value)) {
    const pattern = Object.hasOwn(CHECKSUMS, name) ? CHECKSUMS[name as keyof Checksums] : undefined;
    if (pattern === undefined || typeof text !== "string" || !pattern.test(text))
      throw bad(place, `not a checksum: ${name}`);
    sums[name as keyof Checksums] = text;
  }
  return sums;
}
