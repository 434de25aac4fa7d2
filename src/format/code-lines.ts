import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { hasLongLine } from "./long-lines.ts";
import type { Part } from "./part.ts";

/**
 * JavaScript (ECMA-262, section 12) and CSS (CSS Syntax 3) written without
 * line ends. One content, whose plain form has each statement, block, rule and
 * declaration on its own line, so that what is compared, shown and found moved
 * is a statement. Tokens are told apart only as far as strings, templates,
 * regular expressions and comments must not be broken; what is neither script
 * nor style comes out in lines all the same. Throws `input` for what has lines.
 */
const MAX_BYTES = 64 << 20;
/** A line longer than this is broken at its next comma, too. */
const WIDE = 100;
const MAX_TEMPLATES = 256;
/** What looks like a longer one is a division. */
const MAX_REGEX = 4096;

const FEED = 0x0a;
const SLASH = 0x2f;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;

export function codeParts(source: ByteSource, name: string): Part[] {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: code of more than ${MAX_BYTES} bytes`);
  const bytes = source.read(0, source.size).slice();
  if (!hasLongLine(bytes)) throw new BitforbitError("input", `${name}: code in lines: compared line by line`);
  const style = /\.css$/i.test(name);
  const run: NonNullable<Part["decode"]>["run"] = (sink) => {
    sink(new Breaker(bytes, style).lines());
    return Promise.resolve();
  };
  // By its own name it would be taken for code again, since a long string leaves a long line.
  const named = { name: "statements.txt", decode: { name: "statements", run } };
  return [{ key: "", kind: "content", offset: 0, length: bytes.length, ...named }];
}

/** A place in the code after which a slash begins a regular expression, by the byte before it. */
const BEFORE_REGEX = new Set(Buffer.from("(,=:[!&|?{};+-*%<>~^\n"));
const WORDS_BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|new|instanceof|yield|await)$/;

class Breaker {
  readonly #bytes: Uint8Array;
  readonly #style: boolean;
  readonly #pieces: Uint8Array[] = [];
  #width = 0;
  /** For each template that is open around: how many brackets are open in its expression. */
  readonly #templates: number[] = [];
  #from = 0;

  constructor(bytes: Uint8Array, style: boolean) {
    this.#bytes = bytes;
    this.#style = style;
  }

  lines(): Uint8Array {
    const { length } = this.#bytes;
    for (let at = 0; at < length;) {
      const end = this.#tokenEnd(at);
      const last = this.#bytes[end - 1];
      if (last === FEED) this.#width = 0;
      else this.#width += end - at;
      if (end === at + 1 && this.#breaksAfter(last, this.#bytes[end])) this.#break(end);
      at = end;
    }
    this.#pieces.push(this.#bytes.subarray(this.#from, length));
    return new Uint8Array(Buffer.concat(this.#pieces));
  }

  #break(at: number): void {
    if (this.#bytes[at] === FEED || at >= this.#bytes.length) return;
    this.#pieces.push(this.#bytes.subarray(this.#from, at), Uint8Array.of(FEED));
    this.#from = at;
    this.#width = 0;
  }

  #breaksAfter(byte: number | undefined, next: number | undefined): boolean {
    if (byte === 0x3b || byte === 0x7b) return true;
    // What belongs to a closing bracket stays with it.
    if (byte === 0x7d) return next !== 0x29 && next !== 0x2c && next !== 0x3b && next !== 0x5d && next !== 0x2e;
    return byte === 0x2c && this.#width > WIDE;
  }

  #tokenEnd(at: number): number {
    const bytes = this.#bytes;
    const byte = bytes[at];
    if (byte === 0x22 || byte === 0x27) return this.#quotedEnd(at, byte);
    if (byte === SLASH && bytes[at + 1] === STAR) return this.#commentEnd(at);
    if (this.#style) return at + 1;
    if (byte === SLASH && bytes[at + 1] === SLASH) return this.#until(FEED, at);
    if (byte === SLASH && this.#regexMayBegin(at)) return this.#regexEnd(at);
    if (byte === BACKTICK) return this.#templateEnd(at + 1);
    const open = this.#templates.length - 1;
    if (open < 0) return at + 1;
    const depth = this.#templates[open] ?? 0;
    if (byte === 0x7b) this.#templates[open] = depth + 1;
    else if (byte === 0x7d && depth === 0) {
      this.#templates.pop();
      return this.#templateEnd(at + 1);
    } else if (byte === 0x7d) this.#templates[open] = depth - 1;
    return at + 1;
  }

  #quotedEnd(start: number, quote: number): number {
    for (let at = start + 1; at < this.#bytes.length; at++) {
      const byte = this.#bytes[at];
      if (byte === BACKSLASH) at++;
      else if (byte === quote) return at + 1;
      else if (byte === FEED) return at;
    }
    return this.#bytes.length;
  }

  #commentEnd(start: number): number {
    const end = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length).indexOf("*/", start + 2);
    return end < 0 ? this.#bytes.length : end + 2;
  }

  #until(byte: number, from: number): number {
    const at = this.#bytes.indexOf(byte, from);
    return at < 0 ? this.#bytes.length : at;
  }

  /** Up to the backtick, or to the `${` of an expression, which is then open. */
  #templateEnd(from: number): number {
    for (let at = from; at < this.#bytes.length; at++) {
      const byte = this.#bytes[at];
      if (byte === BACKSLASH) at++;
      else if (byte === BACKTICK) return at + 1;
      else if (byte === 0x24 && this.#bytes[at + 1] === 0x7b && this.#templates.length < MAX_TEMPLATES) {
        this.#templates.push(0);
        return at + 2;
      }
    }
    return this.#bytes.length;
  }

  #regexMayBegin(at: number): boolean {
    let before = at - 1;
    while (before >= 0 && (this.#bytes[before] === 0x20 || this.#bytes[before] === 0x09)) before--;
    const byte = this.#bytes[before];
    if (byte === undefined || BEFORE_REGEX.has(byte)) return true;
    const text = Buffer.from(this.#bytes.subarray(Math.max(0, before - 11), before + 1)).toString("latin1");
    return WORDS_BEFORE_REGEX.test(text);
  }

  #regexEnd(start: number): number {
    let set = false;
    const last = Math.min(this.#bytes.length, start + MAX_REGEX);
    for (let at = start + 1; at < last; at++) {
      const byte = this.#bytes[at];
      if (byte === BACKSLASH) at++;
      else if (byte === 0x5b) set = true;
      else if (byte === 0x5d) set = false;
      else if (byte === SLASH && !set) return at + 1;
      // No regular expression goes over a line end: it was a division.
      else if (byte === FEED) return start + 1;
    }
    return start + 1;
  }
}
