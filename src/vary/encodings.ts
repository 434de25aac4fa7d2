import type { CauseName } from "../world.ts";
import { type Confidence, type Match, MAX_MATCHES, type Watermark } from "./variation.ts";

/** A view without a copy. */
export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Every place of `needle`, not overlapping. */
export function places(bytes: Uint8Array, needle: Uint8Array): number[] {
  const found: number[] = [];
  const hay = buffer(bytes);
  if (needle.length === 0) return found;
  for (
    let at = hay.indexOf(needle);
    at >= 0 && found.length < MAX_MATCHES;
    at = hay.indexOf(needle, at + needle.length)
  ) {
    found.push(at);
  }
  return found;
}

function needleWatermark(
  cause: CauseName,
  label: string,
  text: string,
  needle: Uint8Array,
  confidence: Confidence,
): Watermark {
  return {
    cause,
    label,
    confidence,
    find: (bytes): Match[] =>
      places(bytes, needle).map((offset) => ({ offset, length: needle.length, text, confidence })),
  };
}

/**
 * Searchers for a text that occurs nowhere by chance, in the encodings in which
 * artifacts carry text: as it is, UTF-16 of either byte order, hexadecimal of
 * either case, base64 at each of the three alignments, percent-encoded, and as
 * lists of bytes as C has them, decimal, hexadecimal or octal. Shorter texts
 * than four bytes find too much by chance in the encoded forms, so they are
 * searched as they are.
 */
export function textWatermarks(
  cause: CauseName,
  what: string,
  text: string,
  confidence: Confidence = "certain",
): Watermark[] {
  if (text === "") return [];
  const key = [cause, what, text, confidence].join("\0");
  const known = made.get(key);
  if (known !== undefined) return known;
  const marks = encodingsOf(cause, what, text, confidence);
  if (made.size >= MOST_MADE) made.clear();
  made.set(key, marks);
  return marks;
}

/** Worlds are few and leaves many: the searchers for a text are made once. */
const made = new Map<string, Watermark[]>();
const MOST_MADE = 1000;

function encodingsOf(cause: CauseName, what: string, text: string, confidence: Confidence): Watermark[] {
  const raw = Buffer.from(text, "utf8");
  const marks = [needleWatermark(cause, `${what} ${text}`, text, raw, confidence)];
  if (raw.length < 4) return marks;
  const digits = raw.toString("hex");
  const encoded = (how: string, needle: Buffer): void => {
    marks.push(needleWatermark(cause, `${what} ${text} in ${how}`, text, needle, confidence));
  };
  const wide = Buffer.from(text, "utf16le");
  encoded("UTF-16LE", wide);
  encoded("UTF-16BE", Buffer.from(wide).swap16());
  encoded("hexadecimal", Buffer.from(digits));
  if (digits.toUpperCase() !== digits) encoded("hexadecimal", Buffer.from(digits.toUpperCase()));
  for (const alignment of [0, 1, 2]) {
    const inside = base64Inside(raw, alignment);
    encoded("base64", Buffer.from(inside));
    const forUrls = inside.replaceAll("+", "-").replaceAll("/", "_");
    if (forUrls !== inside) encoded("base64url", Buffer.from(forUrls));
  }
  const percent = encodeURIComponent(text);
  if (percent !== text) encoded("percent-encoding", Buffer.from(percent));
  return [...marks, ...byteLists(cause, `${what} ${text}`, text, raw, confidence)];
}

/** `0x71, 0x65`, `\x71\x65`, `71 65`; `113, 101`; `\161\145`: the bytes of a text in source code and dumps. */
function byteLists(cause: CauseName, label: string, text: string, raw: Buffer, confidence: Confidence): Watermark[] {
  const list = (radix: number, width: number): string[] =>
    [...raw].map((byte) => byte.toString(radix).padStart(width, "0"));
  const patterns = {
    "hexadecimal bytes": list(16, 2).join("(?:\\\\x|[,:]?[ \\t\\r\\n]{0,8}(?:0x)?)"),
    "decimal bytes": list(10, 1).join(",?[ \\t\\r\\n]{0,8}(?<=[, \\n])"),
    "octal bytes": list(8, 3).join("(?:\\\\|[ ])"),
  };
  return Object.entries(patterns).map(([how, pattern]) =>
    patternWatermark(cause, `${label} in ${how}`, new RegExp(pattern, "gi"), confidence, () => true, text),
  );
}

/**
 * The base64 digits that depend on `raw` alone when it starts `alignment` bytes
 * into a group of three: digits that mix in neighbouring bytes are left out.
 * RFC 4648, section 4.
 */
export function base64Inside(raw: Uint8Array, alignment: number): string {
  const digits = Buffer.concat([Buffer.alloc(alignment), raw]).toString("base64");
  const first = Math.ceil((alignment * 8) / 6);
  const end = Math.floor(((alignment + raw.length) * 8) / 6);
  return digits.slice(first, end);
}

/** The bytes as Latin-1 text, kept for as long as the bytes are: many patterns ask for the same. */
const texts = new WeakMap<Uint8Array, string>();

function latin1(bytes: Uint8Array): string {
  const known = texts.get(bytes);
  if (known !== undefined) return known;
  const text = buffer(bytes).toString("latin1");
  texts.set(bytes, text);
  return text;
}

/**
 * A searcher by pattern over the bytes taken as Latin-1 text. The pattern
 * needs the flag `g`. `shown`: what to show for a match instead of what matched.
 */
export function patternWatermark(
  cause: CauseName,
  label: string,
  pattern: RegExp,
  confidence: Confidence,
  accept: (match: RegExpExecArray) => boolean = () => true,
  shown?: string,
): Watermark {
  return {
    cause,
    label,
    confidence,
    find: (bytes) => {
      const found: Match[] = [];
      for (const match of latin1(bytes).matchAll(pattern)) {
        if (!accept(match)) continue;
        found.push({ offset: match.index, length: match[0].length, text: shown ?? match[0], confidence });
        if (found.length === MAX_MATCHES) break;
      }
      return found;
    },
  };
}

/** Searchers for a number as it is written: decimal, and hexadecimal and octal (as tar has it) where it is large enough. */
export function numberWatermarks(cause: CauseName, what: string, value: number, confidence: Confidence): Watermark[] {
  const written = (how: string, pattern: string): Watermark =>
    patternWatermark(cause, `${what} ${value}${how}`, new RegExp(pattern, "gi"), confidence);
  const octal = value.toString(8).padStart(7, "0");
  const marks = [written("", `(?<!\\d)${value}(?!\\d)`), written(" in octal", `(?<![0-7])0*${octal}(?![0-7])`)];
  if (value < 0x10000 / 16) return marks;
  return [...marks, written(" in hexadecimal", `(?<![0-9a-f])0*${value.toString(16)}(?![0-9a-f])`)];
}

/** Searchers for a number as binary integer of four bytes, or eight where it needs them, either end first. */
export function integerWatermarks(cause: CauseName, what: string, value: number, confidence: Confidence): Watermark[] {
  const little = Buffer.alloc(8);
  little.writeBigUInt64LE(BigInt(value));
  const size = value < 2 ** 32 ? 4 : 8;
  const ends: [string, Buffer][] = [
    ["little-endian", little.subarray(0, size)],
    ["big-endian", Buffer.from(little.subarray(0, size)).reverse()],
  ];
  return ends.map(([end, needle]) =>
    needleWatermark(cause, `${what} ${value} as a ${end} integer`, String(value), needle, confidence),
  );
}

/** Searchers for one byte that fills a place: raw, in hexadecimal, and in base64, where three of them are four digits. */
export function runWatermarks(cause: CauseName, what: string, byte: number): Watermark[] {
  const hex = byte.toString(16).padStart(2, "0");
  const group = Buffer.alloc(3, byte).toString("base64").replaceAll(/\W/g, "\\$&");
  const run = (how: string, pattern: string, flags: string, confidence: Confidence): Watermark =>
    patternWatermark(cause, `${what}${how}`, new RegExp(pattern, flags), confidence, () => true, `bytes 0x${hex}`);
  return [
    run("", `\\x${hex}{16,}`, "g", "certain"),
    run("", `\\x${hex}{4,}`, "g", "likely"),
    run(" in hexadecimal", `(?:${hex}){8,}`, "gi", "likely"),
    run(" in base64", `(?:${group}){3,}`, "g", "likely"),
  ];
}
