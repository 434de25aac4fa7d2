import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import {
  type Element,
  elementAt,
  elementsIn,
  holdsElements,
  OCTETS,
  OID,
  oidText,
  SEQUENCE,
  SET,
  shownElement,
} from "./asn1.ts";
import {
  CERTIFICATE,
  EC_PRIVATE_KEY,
  PRIVATE_KEY,
  PUBLIC_KEY_INFO,
  REQUEST,
  REVOCATIONS,
  RSA_PRIVATE_KEY,
  type Shape,
  SIGNED_DATA,
} from "./der-shapes.ts";
import { oidName } from "./oid-names.ts";
import { derived, field, group, type Part } from "./part.ts";
import { secretPart } from "./secret.ts";

/**
 * DER (X.690) as a tree; where it is a certificate, a request, a revocation
 * list (RFC 5280, 2986), a key (RFC 5958, 5915, 8017) or signed data (RFC 5652)
 * its elements have their names, otherwise their types' names. Identifiers and
 * lengths of elements that hold others are derived. Private values are never
 * shown, only that they differ.
 */
const MAX_BYTES = 64 << 20;
const MAX_DEPTH = 64;

interface Der {
  bytes: Uint8Array;
  name: string;
}

export function derParts(source: ByteSource, name: string): Part[] {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: DER of more than ${MAX_BYTES} bytes`);
  const der = { bytes: source.read(0, source.size).slice(), name };
  const root = elementAt(der.bytes, 0, der.bytes.length, name);
  if (root.tag !== SEQUENCE) throw new BitforbitError("input", `${name}: DER, offset 0: no SEQUENCE`);
  const parts = elementParts(der, root, "", shapeOf(der, root), 0);
  const rest = der.bytes.length - root.end;
  return rest === 0 ? parts : [...parts, { key: "after the end", kind: "content", offset: root.end, length: rest }];
}

/** A shape by the types of an element's first members. */
function shapeOf({ bytes, name }: Der, root: Element): Shape {
  const first = [...take(elementsIn(bytes, root.content, root.end, name), 4)];
  const tags = first.map(({ tag }) => tag);
  const [one, two] = first;
  if (one?.tag === OID) return SIGNED_DATA;
  if (tags[0] === SEQUENCE && tags[1] === 0x03) return PUBLIC_KEY_INFO;
  if (tags[0] === 0x02 && tags[1] === SEQUENCE && tags[2] === OCTETS) return PRIVATE_KEY;
  if (tags[0] === 0x02 && tags[1] === OCTETS) return EC_PRIVATE_KEY;
  if (tags.length === 4 && tags.every((tag) => tag === 0x02)) return RSA_PRIVATE_KEY;
  if (one?.tag !== SEQUENCE || two?.tag !== SEQUENCE || tags[2] !== 0x03) return {};
  const inside = [...take(elementsIn(bytes, one.content, one.end, name), 4)].map(({ tag }) => tag);
  if (inside[0] === 0xa0 || (inside[0] === 0x02 && inside[3] === SEQUENCE)) return CERTIFICATE;
  if (inside[0] === 0x02 && inside[3] === 0xa0) return REQUEST;
  return REVOCATIONS;
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const item of items) {
    if (taken++ >= count) return;
    yield item;
  }
}

/** `called` empty: what it holds is told in its place. */
function elementParts(der: Der, element: Element, called: string, shape: Shape, depth: number): Part[] {
  const { bytes } = der;
  const { tag, start, content, end } = element;
  if (shape.secret === true) return [secretPart(called, bytes, start, end - start)];
  const wraps =
    (tag === OCTETS || tag === 0x80) && (shape.wraps !== undefined || depth > 0) && holdsElements(bytes, content, end);
  const bits = tag === 0x03 && bytes[content] === 0 && holdsElements(bytes, content + 1, end);
  const holds = (tag & 0x20) !== 0 || wraps;
  if (depth > MAX_DEPTH || !(holds || bits)) return [valuePart(der, element, called || typeName(tag))];
  const from = bits ? content + 1 : content;
  const inside = function* (): Generator<Part> {
    yield derived("header", start, from - start);
    yield* insideParts(der, from, end, wraps ? (shape.wraps ?? {}) : shape, depth);
  };
  return [{ ...group(called, start, end - start, inside), show: () => summaryOf(der, element) }];
}

function valuePart({ bytes }: Der, element: Element, called: string): Part {
  return field(called, element.start, element.end - element.start, () => shownElement(bytes, element));
}

function* insideParts(der: Der, from: number, to: number, shape: Shape, depth: number): Generator<Part> {
  const { fields, each } = shape;
  let next = 0;
  for (const element of elementsIn(der.bytes, from, to, der.name)) {
    if (each !== undefined) {
      const called = each.called === "OID" || each.called === "first" ? firstName(der, element) : each.called;
      yield* elementParts(der, element, called, each.shape ?? {}, depth + 1);
      continue;
    }
    const place = fields?.findIndex(({ tag }, at) => at >= next && (tag ?? element.tag) === element.tag) ?? -1;
    const known = fields?.[place];
    if (place >= 0) next = place + 1;
    yield* elementParts(der, element, known?.name ?? typeName(element.tag), known?.shape ?? {}, depth + 1);
  }
}

/** What an element begins with names it: an extension's identifier, a revoked serial number. */
function firstName(der: Der, element: Element): string {
  const [first] = [...take(elementsIn(der.bytes, element.content, element.end, der.name), 1)];
  if (first === undefined) return "empty";
  return first.tag === OID ? oidName(oidText(der.bytes, first)) : shownElement(der.bytes, first);
}

const TYPES: Readonly<Record<number, string>> = {
  1: "boolean",
  2: "integer",
  3: "bit string",
  4: "octet string",
  5: "null",
  6: "identifier",
  10: "enumerated",
  12: "text",
  19: "text",
  20: "text",
  22: "text",
  23: "time",
  24: "time",
  30: "text",
};

function typeName(tag: number): string {
  if (tag === SEQUENCE) return "sequence";
  if (tag === SET) return "set";
  return (tag & 0xc0) === 0 ? (TYPES[tag] ?? `type ${tag}`) : `[${tag & 0x1f}]`;
}

/** The first values in it, for what stands on one side only. */
function summaryOf(der: Der, element: Element): string {
  const values: string[] = [];
  const collect = (inside: Element, depth: number): void => {
    if (values.length >= 8 || depth > 8) return;
    // No strings of bytes and no large numbers: among them are private ones.
    const { tag, content, end } = inside;
    const secret = tag === OCTETS || tag === 0x03 || (tag === 0x02 && end - content > 8);
    if ((tag & 0x20) === 0) {
      if (!secret) values.push(shownElement(der.bytes, inside));
      return;
    }
    for (const inner of take(elementsIn(der.bytes, content, end, der.name), 16)) collect(inner, depth + 1);
  };
  collect(element, 0);
  return values.join(", ").slice(0, 300);
}

/** The subject's last name, by which a certificate among others is found; undefined for what is none. */
export function certificateSubject(bytes: Uint8Array): string | undefined {
  try {
    const outer = elementAt(bytes, 0, bytes.length, "");
    const [inner] = [...take(elementsIn(bytes, outer.content, outer.end, ""), 1)];
    if (inner?.tag !== SEQUENCE) return undefined;
    const fields = [...take(elementsIn(bytes, inner.content, inner.end, ""), 7)];
    const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4];
    if (subject?.tag !== SEQUENCE) return undefined;
    const names = [...take(elementsIn(bytes, subject.content, subject.end, ""), 16)];
    const last = names.at(-1);
    if (last === undefined) return undefined;
    const [pair] = [...elementsIn(bytes, last.content, last.end, "")];
    const value = pair === undefined ? undefined : [...elementsIn(bytes, pair.content, pair.end, "")][1];
    return value === undefined ? undefined : showable(bytes.subarray(value.content, value.end)).slice(0, 100);
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}
