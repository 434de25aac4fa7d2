import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { field, type Part } from "./part.ts";

/** Strings that end with NUL, as linkers gather them, and strings among other data; read through a window. */
const WINDOW = 64 << 10;
const MAX_STRING = 16 << 10;
const MAX_KEY = 160;
/** Fewer printable characters than this are as likely to be a number. */
const LEAST = 5;

/** What the string at an offset is for, where something says so: "SONAME", "producer". */
export type Roles = ReadonlyMap<number, string>;

/** Each string by its text; offsets of `roles` are counted from `offset`. `since`: what ends well before need not be told. */
export function* stringParts(
  source: ByteSource,
  offset: number,
  length: number,
  roles?: Roles,
  since?: number,
): Generator<Part> {
  const end = offset + length;
  for (let at = beginning(source, offset, since, (byte) => byte !== 0); at < end;) {
    const window = source.read(at, Math.min(WINDOW, end - at)).slice();
    const whole = at + window.length === end;
    let from = 0;
    while (from < window.length) {
      let stop = window.indexOf(0, from);
      if (stop < 0) {
        // Cut by the window: again from here, unless a window does not hold it.
        if (!whole && from > 0) break;
        stop = window.length - 1;
      }
      const place = at + from;
      const size = stop + 1 - from;
      const text = clipped(window.subarray(from, window[stop] === 0 ? stop : stop + 1));
      if (size === 1) yield { key: "empty", kind: "padding", offset: place, length: 1 };
      else yield field(roles?.get(place - offset) ?? text, place, size, () => text);
      from = stop + 1;
    }
    at += from;
  }
}

/**
 * Where to begin so as not to miss what holds the byte at `since`, some
 * windows before it and behind a byte that ends a string; both sides, the same
 * up to `since`, begin at the same place.
 */
function beginning(
  source: ByteSource,
  offset: number,
  since: number | undefined,
  within: (byte: number) => boolean,
): number {
  if (since === undefined || since - offset < 4 * WINDOW) return offset;
  const from = since - 2 * WINDOW;
  const stop = source.read(from, WINDOW).findIndex((byte) => !within(byte));
  return stop < 0 ? offset : from + stop + 1;
}

function clipped(bytes: Uint8Array): string {
  const text = showable(bytes.subarray(0, MAX_KEY * 4));
  return text.length > MAX_KEY ? `${text.slice(0, MAX_KEY)}…` : text;
}

/**
 * Text where there is text, and between it bytes, which are known by what they
 * follow: `after` for the first of them.
 */
export function* mixedParts(
  source: ByteSource,
  offset: number,
  length: number,
  after?: string,
  since?: number,
): Generator<Part> {
  const end = offset + length;
  const start = beginning(source, offset, since, isText);
  let before = start === offset ? after : undefined;
  const between = (from: number, to: number): Part => {
    const length = to - from;
    // Up to the next alignment.
    const filled = length < 64 && source.read(from, length).every((byte) => byte === 0);
    if (filled) return { key: "padding", kind: "padding", offset: from, length };
    const key = before === undefined ? "" : `after ${before.slice(0, 60)}`;
    return { key, kind: "bytes", offset: from, length };
  };
  let raw = start;
  for (let at = start; at < end;) {
    const window = source.read(at, Math.min(WINDOW, end - at)).slice();
    const whole = at + window.length === end;
    let from = 0;
    while (from < window.length) {
      const stop = textEnd(window, from);
      if (stop === window.length && !whole && from > Math.max(0, window.length - MAX_STRING)) break;
      const isText = window[stop] === 0 && stop - from >= LEAST;
      if (isText) {
        if (at + from > raw) yield between(raw, at + from);
        const text = clipped(window.subarray(from, stop));
        yield field(JSON.stringify(text), at + from, stop + 1 - from, () => JSON.stringify(text));
        raw = at + stop + 1;
        before = JSON.stringify(text);
      }
      from = stop + 1;
    }
    at += Math.min(from, window.length);
  }
  if (raw < end) yield between(raw, end);
}

/** Where the printable characters from `from` on end. */
function textEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && isText(bytes[at] ?? 0)) at++;
  return at;
}

function isText(byte: number): boolean {
  return (byte >= 0x20 && byte !== 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** The printable string at `offset`, where one begins there and ends by NUL within 200 bytes. */
export function stringAt(source: ByteSource, offset: number, end: number): string | undefined {
  const bytes = source.read(offset, Math.max(0, Math.min(200, end - offset)));
  const stop = textEnd(bytes, 0);
  if (stop < 2 || bytes[stop] !== 0) return undefined;
  return JSON.stringify(clipped(bytes.subarray(0, Math.min(stop, 60))));
}
