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
 * artifacts carry text: as it is, UTF-16LE, hexadecimal of either case, and
 * base64 at each of the three alignments. Shorter texts than four bytes find
 * too much by chance in the encoded forms, so they are searched as they are.
 */
export function textWatermarks(
  cause: CauseName,
  what: string,
  text: string,
  confidence: Confidence = "certain",
): Watermark[] {
  if (text === "") return [];
  const raw = Buffer.from(text, "utf8");
  const marks = [needleWatermark(cause, `${what} ${text}`, text, raw, confidence)];
  if (raw.length < 4) return marks;
  const digits = raw.toString("hex");
  const encoded = (how: string, needle: Buffer): void => {
    marks.push(needleWatermark(cause, `${what} ${text} in ${how}`, text, needle, confidence));
  };
  encoded("UTF-16LE", Buffer.from(text, "utf16le"));
  encoded("hexadecimal", Buffer.from(digits));
  if (digits.toUpperCase() !== digits) encoded("hexadecimal", Buffer.from(digits.toUpperCase()));
  for (const alignment of [0, 1, 2]) encoded("base64", Buffer.from(base64Inside(raw, alignment)));
  return marks;
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

/** A searcher by pattern over the bytes taken as Latin-1 text. The pattern needs the flag `g`. */
export function patternWatermark(
  cause: CauseName,
  label: string,
  pattern: RegExp,
  confidence: Confidence,
  accept: (match: RegExpExecArray) => boolean = () => true,
): Watermark {
  return {
    cause,
    label,
    confidence,
    find: (bytes) => {
      const found: Match[] = [];
      for (const match of buffer(bytes).toString("latin1").matchAll(pattern)) {
        if (!accept(match)) continue;
        found.push({ offset: match.index, length: match[0].length, text: match[0], confidence });
        if (found.length === MAX_MATCHES) break;
      }
      return found;
    },
  };
}
