import { utf8, utf8Text } from "./bytes.ts";
import { BitforbitError } from "./errors.ts";
import { byteOrder } from "./order.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const MAX_DEPTH = 64;
const MAX_BYTES = 64 << 20;

/**
 * Parses JSON that came from outside, more strictly than `JSON.parse`: UTF-8
 * only, no duplicate keys (two parsers may take different ones: RFC 8259,
 * section 4), at most 64 levels deep and 64 MiB. Objects have no prototype's
 * keys: `__proto__` is data. Throws `input` with `what`, line and column.
 */
export function parseJson(source: Uint8Array | string, what: string): Json {
  if (source.length > MAX_BYTES) throw new BitforbitError("limit", `${what}: larger than ${MAX_BYTES} bytes`);
  const text = typeof source === "string" ? source : utf8Text(source);
  if (text === undefined) throw new BitforbitError("input", `${what}: not UTF-8`);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw new BitforbitError("input", `cannot parse ${what}: ${(error as Error).message}`, { cause: error });
  }
  checkKeysAndDepth(text, what);
  return value;
}

const OPEN = { object: 0x7b, array: 0x5b };
const CLOSE = { object: 0x7d, array: 0x5d };
const QUOTE = 0x22;

/** Scans text that `JSON.parse` accepted: only structure, strings and depth matter here. */
function checkKeysAndDepth(text: string, what: string): void {
  const stack: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN.object || code === OPEN.array) {
      stack.push(code === OPEN.object ? new Set() : undefined);
      if (stack.length > MAX_DEPTH)
        throw new BitforbitError("limit", `${what}: nested deeper than ${MAX_DEPTH} levels`);
    } else if (code === CLOSE.object || code === CLOSE.array) {
      stack.pop();
    } else if (code === QUOTE) {
      const start = at;
      at = endOfString(text, start);
      let next = at + 1;
      while (text[next] === " " || text[next] === "\n" || text[next] === "\r" || text[next] === "\t") next++;
      const keys = stack.at(-1);
      if (text[next] === ":" && keys !== undefined) {
        const written = text.slice(start + 1, at);
        const key = written.includes("\\") ? (JSON.parse(`"${written}"`) as string) : written;
        if (keys.has(key)) throw new BitforbitError("input", `${what}: duplicate key ${JSON.stringify(key)}`);
        keys.add(key);
      }
    }
  }
}

/** Where the string that starts at `start` ends: the next quote after an even number of backslashes. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); ; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return at;
  }
}

/**
 * JSON Canonicalization Scheme (RFC 8785): keys in UTF-16 order, no white
 * space, ECMAScript numbers. Throws `input` on lone surrogates.
 */
export function canonicalJson(value: Json): Uint8Array {
  return utf8(canonicalText(value));
}

function canonicalText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const keys = Object.keys(value).sort();
    return `{${keys.map((key) => `${canonicalText(key)}:${canonicalText(value[key] as Json)}`).join(",")}}`;
  }
  if (typeof value === "string" && !value.isWellFormed()) {
    throw new BitforbitError("input", "a lone surrogate cannot stand in canonical JSON");
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new BitforbitError("input", `${value} cannot stand in JSON`);
  }
  return JSON.stringify(value);
}

/** Indented JSON with keys in byte order and a final newline: for files that people review. */
export function prettyJson(value: unknown): string {
  return `${JSON.stringify(sortKeys(value), null, 2)}\n`;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).sort(([a], [b]) => byteOrder(a, b));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortKeys(item)]));
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
