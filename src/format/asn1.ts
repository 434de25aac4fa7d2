import { hex, utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { oidName } from "./oid-names.ts";

/** One element of DER (X.690): identifier, length, content. */
export interface Element {
  tag: number;
  start: number;
  /** Where the content begins. */
  content: number;
  end: number;
}

const MAX_SHOWN = 64;

export const OID = 0x06;
export const OCTETS = 0x04;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/** The element at `at`, which must end by `to`. Throws `input` with the offset. */
export function elementAt(bytes: Uint8Array, at: number, to: number, name: string): Element {
  const tag = bytes[at];
  const first = bytes[at + 1];
  const bad = (what: string): BitforbitError => new BitforbitError("input", `${name}: DER, offset ${at}: ${what}`);
  if (tag === undefined || first === undefined || at + 2 > to) throw bad("no element");
  if ((tag & 0x1f) === 0x1f) throw bad("a tag number above 30");
  let length = first;
  let content = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4 || content + count > to) throw bad("a length that is not of DER");
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + (bytes[content + index] ?? 0);
    content += count;
  }
  if (content + length > to) throw bad(`an element of ${length} bytes, expected to end by offset ${to}`);
  return { tag, start: at, content, end: content + length };
}

/** The elements from `from` to `to`, one after another. Throws `input`. */
export function* elementsIn(bytes: Uint8Array, from: number, to: number, name: string): Generator<Element> {
  for (let at = from; at < to;) {
    const element = elementAt(bytes, at, to, name);
    yield element;
    at = element.end;
  }
}

/** Whether these bytes are elements of DER from the first to the last. */
export function holdsElements(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < 2) return false;
  try {
    for (const { tag } of elementsIn(bytes, from, to, "")) if ((tag & 0x1f) === 0) return (tag & 0xc0) !== 0;
    return true;
  } catch {
    return false;
  }
}

/** Dotted form (X.690, section 8.19). */
export function oidText(bytes: Uint8Array, { content, end }: Element): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of bytes.subarray(content, Math.min(end, content + MAX_SHOWN))) {
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [first = 0n, ...rest] = arcs;
  const top = first >= 80n ? 2n : first / 40n;
  return [top, first - top * 40n, ...rest].join(".");
}

/** A primitive element's value for people. */
export function shownElement(bytes: Uint8Array, element: Element): string {
  const { tag, content, end } = element;
  const value = bytes.subarray(content, end);
  switch (tag) {
    case 0x01:
      return value[0] === 0 ? "false" : "true";
    case 0x02:
    case 0x0a:
      return shownInteger(value);
    case 0x03:
      return hexOf(value.subarray(1));
    case 0x05:
      return "null";
    case OID:
      return oidName(oidText(bytes, element));
    case 0x17:
    case 0x18:
      return shownTime(Buffer.from(value).toString("latin1"), tag === 0x17);
    case 0x1e:
      return Buffer.from(value.subarray(0, value.length & ~1))
        .swap16()
        .toString("utf16le")
        .slice(0, 300);
    default:
  }
  const isText = [OCTETS, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x1a, 0x1b].includes(tag) || (tag & 0xe0) === 0x80;
  const text = isText ? utf8Text(value.subarray(0, 300)) : undefined;
  if (text !== undefined && !/[\0-\x08\x0e-\x1f\x7f-\x9f]/.test(text)) return text.trim();
  return hexOf(value);
}

function hexOf(value: Uint8Array): string {
  return `${hex(value.subarray(0, MAX_SHOWN))}${value.length > MAX_SHOWN ? "…" : ""}`;
}

function shownInteger(value: Uint8Array): string {
  return value.length <= 6 && value.length > 0 ? String(Buffer.from(value).readIntBE(0, value.length)) : hexOf(value);
}

/** UTCTime has two digits of the year: 50 and above are of the last century (RFC 5280, section 4.1.2.5.1). */
function shownTime(text: string, utc: boolean): string {
  const full = utc ? `${Number(text.slice(0, 2)) >= 50 ? "19" : "20"}${text}` : text;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(.*)$/.exec(full);
  if (parts === null) return text.slice(0, MAX_SHOWN);
  const [, year, month, day, hour, minute, second = "00", zone = ""] = parts;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`;
}
