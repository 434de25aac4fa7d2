/**
 * Reading DER (X.690, section 10) where a decision hangs on it: one encoding of
 * each value only. Lengths are definite and shortest, integers and object
 * identifiers have no byte too many, booleans are 00 or ff, nothing follows
 * what was asked for. `asn1.ts` reads leniently, for showing; this file never
 * does.
 */
import { hex, utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OID = 0x06;

export const UTF8_STRING = 0x0c;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/** The tag of `[number]`, context specific; constructed unless it is a primitive that is tagged implicitly. */
export function contextTag(number: number, constructed = true): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

const MAX_OID_BYTES = 64;

/** Reads one value after another from a stretch of bytes. Everything throws `input`, with what is read and the offset. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, what: string, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#what = what;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  /** Where the next value begins, from the start of the bytes handed in. */
  get offset(): number {
    return this.#at;
  }

  /** Whether the next value has this tag. */
  isNext(tag: number): boolean {
    return this.#at < this.#end && this.#bytes[this.#at] === tag;
  }

  /** The content of the next value, which must have this tag. */
  read(tag: number): Uint8Array {
    const { content, end } = this.#header(tag);
    this.#at = end;
    return this.#bytes.subarray(content, end);
  }

  /** The whole of the next value: identifier, length and content. */
  raw(tag: number | undefined = this.#bytes[this.#at]): Uint8Array {
    const start = this.#at;
    const { end } = this.#header(tag ?? 0);
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }

  /** A reader of what lies in the next value. */
  enter(tag: number): DerReader {
    const { content, end } = this.#header(tag);
    this.#at = end;
    return new DerReader(this.#bytes, this.#what, content, end);
  }

  /** As `enter`, or undefined when the next value has another tag or there is none. */
  enterIf(tag: number): DerReader | undefined {
    return this.isNext(tag) ? this.enter(tag) : undefined;
  }

  /** Throws when anything is left. */
  finish(): void {
    if (!this.done) throw this.#bad(`${this.#end - this.#at} bytes too many`);
  }

  oid(): string {
    const start = this.#at;
    const content = this.read(OID);
    if (content.length === 0 || content.length > MAX_OID_BYTES) throw this.#bad("an object identifier's length", start);
    const arcs: number[] = [];
    let arc = 0;
    let first = true;
    for (const [at, byte] of content.entries()) {
      if (first && byte === 0x80) throw this.#bad("an object identifier with a padded arc", start);
      arc = arc * 128 + (byte & 0x7f);
      if (!Number.isSafeInteger(arc)) throw this.#bad("an object identifier's arc", start);
      first = byte < 0x80;
      if (!first && at === content.length - 1) throw this.#bad("an object identifier that is cut off", start);
      if (!first) continue;
      arcs.push(arc);
      arc = 0;
    }
    const [top = 0, ...rest] = arcs;
    const root = top >= 80 ? 2 : Math.floor(top / 40);
    return [root, top - root * 40, ...rest].join(".");
  }

  /** An integer's bytes, two's complement, in the fewest. */
  integer(tag: number = INTEGER): Uint8Array {
    const start = this.#at;
    const content = this.read(tag);
    const [first = 0, second = 0] = content;
    const padded = content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (content.length === 0 || padded) throw this.#bad("an integer that is not in its shortest form", start);
    return content;
  }

  /** An integer from 0 to 2^31 − 1. */
  small(tag: number = INTEGER): number {
    const start = this.#at;
    const content = this.integer(tag);
    if (content.length > 4 || (content[0] ?? 0) >= 0x80) throw this.#bad("an integer out of range", start);
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  boolean(): boolean {
    const start = this.#at;
    const content = this.read(BOOLEAN);
    const [byte] = content;
    if (content.length !== 1 || (byte !== 0 && byte !== 0xff)) throw this.#bad("a boolean", start);
    return byte === 0xff;
  }

  /** A BOOLEAN DEFAULT FALSE: DER leaves false out. */
  booleanIf(): boolean {
    if (!this.isNext(BOOLEAN)) return false;
    const start = this.#at;
    if (!this.boolean()) throw this.#bad("false, which DER leaves out where it is the default", start);
    return true;
  }

  /** A bit string of whole bytes. */
  bits(): Uint8Array {
    const start = this.#at;
    const content = this.read(BIT_STRING);
    if (content[0] !== 0) throw this.#bad("a bit string that is not of whole bytes", start);
    return content.subarray(1);
  }

  /** A bit string of named bits: bit 0 of the result is the first named bit. DER has no zero bits at the end. */
  namedBits(): number {
    const start = this.#at;
    const [unused = 8, ...bytes] = this.read(BIT_STRING);
    const last = bytes.at(-1) ?? 0;
    const ends = bytes.length === 0 ? unused === 0 : unused < 8 && (last & ((1 << (unused + 1)) - 1)) === 1 << unused;
    if (!ends || bytes.length > 3) throw this.#bad("a string of named bits", start);
    let value = 0;
    for (const [at, byte] of bytes.entries()) {
      for (let bit = 0; bit < 8; bit++) if ((byte & (0x80 >> bit)) !== 0) value |= 1 << (at * 8 + bit);
    }
    return value;
  }

  /** UTCTime or GeneralizedTime as certificates have them (RFC 5280, section 4.1.2.5): milliseconds since 1970. */
  time(): number {
    const utc = this.isNext(UTC_TIME);
    const start = this.#at;
    const text = latin1(this.read(utc ? UTC_TIME : GENERALIZED_TIME));
    const pattern = utc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
    const value = instant(text, pattern, utc);
    if (value === undefined) throw this.#bad(`not a time: ${JSON.stringify(text.slice(0, 40))}`, start);
    return value;
  }

  /** GeneralizedTime with a fraction of a second, without zeros at its end (RFC 3161, section 2.4.2). */
  preciseTime(): number {
    const start = this.#at;
    const text = latin1(this.read(GENERALIZED_TIME));
    const match = /^(\d{14})(?:\.(\d{0,8}[1-9]))?Z$/.exec(text);
    const whole = instant(`${match?.[1] ?? ""}Z`, /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, false);
    if (match === null || whole === undefined) {
      throw this.#bad(`not a time: ${JSON.stringify(text.slice(0, 40))}`, start);
    }
    return whole + Math.floor(Number(`0.${match[2] ?? "0"}`) * 1000);
  }

  /** UTF8String. */
  text(): string {
    const start = this.#at;
    const value = utf8Text(this.read(UTF8_STRING));
    if (value === undefined) throw this.#bad("text that is not UTF-8", start);
    return value;
  }

  #header(tag: number): { content: number; end: number } {
    const at = this.#at;
    const [bytes, limit] = [this.#bytes, this.#end];
    if (at + 2 > limit) throw this.#bad("it ends too early");
    const found = bytes[at] ?? 0;
    if (found !== tag) throw this.#bad(`tag 0x${hex(Uint8Array.of(found))}, expected 0x${hex(Uint8Array.of(tag))}`);
    if ((found & 0x1f) === 0x1f) throw this.#bad("a tag number above 30");
    const first = bytes[at + 1] ?? 0;
    let length = first;
    let content = at + 2;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 4 || content + count > limit) throw this.#bad("a length that is not of DER");
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (bytes[content + index] ?? 0);
      if (length < 0x80 || length < 2 ** (8 * (count - 1)))
        throw this.#bad("a length that is not in its shortest form");
      content += count;
    }
    if (content + length > limit) throw this.#bad(`a value of ${length} bytes ends too late`);
    return { content, end: content + length };
  }

  #bad(what: string, at: number = this.#at): BitforbitError {
    return new BitforbitError("input", `${this.#what}: DER, offset ${at}: ${what}`);
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 64)).toString("latin1");
}

/** UTCTime's years below 50 are of this century (RFC 5280, section 4.1.2.5.1). */
function instant(text: string, pattern: RegExp, twoDigits: boolean): number | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.map(Number);
  const full = twoDigits ? year + (year < 50 ? 2000 : 1900) : year;
  const value = Date.UTC(full, month - 1, day, hour, minute, second);
  // Date.UTC takes 30 February and 24 o'clock for another day.
  const canonical = new Date(value).toISOString().replaceAll(/[-:T]|\.000Z$/g, "");
  const stated = `${String(full).padStart(4, "0")}${match.slice(2).join("")}`;
  return canonical === stated ? value : undefined;
}
