import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { Cursor } from "./cursor.ts";
import { listing, quoted } from "./listing.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Coverage notes and counts of GCC (gcc/gcov-io.h), in the byte order of the
 * machine: "gcno" or "gcda", a version of four characters, a stamp that ties
 * the two together, then records of a tag, a length and data. From GCC 12 on
 * lengths are bytes and a checksum follows the stamp, before they are words of
 * four bytes. Records that follow a function's are its own.
 */
const FUNCTION = 0x01000000;
const BLOCKS = 0x01410000;
const ARCS = 0x01430000;
const LINES = 0x01450000;
const SUMMARY = 0xa1000000;
const MAX_RECORDS = 2_000_000;
const MAX_COUNTS = 400_000;

interface Rec {
  tag: number;
  /** Where the tag stands. */
  at: number;
  data: number;
  end: number;
}

interface File {
  source: ByteSource;
  what: string;
  little: boolean;
  /** Of a length. */
  unit: 1 | 4;
}

export function gcovParts(source: ByteSource, name: string): Part[] {
  const what = `${name}: coverage of GCC`;
  const start = showable(source.read(0, Math.min(8, source.size)));
  const little = /^(?:oncg|adcg)/.test(start);
  if (!little && !/^gc(?:no|da)/.test(start)) return new Cursor(source, what).fail("not gcno or gcda");
  const notes = /^(?:oncg|gcno)/.test(start);
  const cursor = new Cursor(source, what, 4, source.size, little);
  const letters = Buffer.from(cursor.bytes(4)).toString("latin1");
  const version = little ? letters.split("").toReversed().join("") : letters;
  // "B22*" is 12.2: tens as letters from A on.
  const major = (version.charCodeAt(0) - 0x41) * 10 + (version.charCodeAt(1) - 0x30);
  const file: File = { source, what, little, unit: major >= 12 ? 1 : 4 };
  const stamp = cursor.u32();
  const parts: Part[] = [
    field("version", 4, 4, () => version),
    field("stamp", 8, 4, () => `0x${stamp.toString(16).padStart(8, "0")}`),
  ];
  if (major >= 12) parts.push(derived("checksum", cursor.skip(4), 4));
  if (notes && major >= 9) {
    const at = cursor.at;
    const folder = string(cursor, file);
    parts.push(field("working directory", at, cursor.at - at, () => folder));
    parts.push(field("notes on blocks that nothing reaches", cursor.skip(4), 4));
  }
  return [...parts, ...functions(file, records(cursor, file), notes)];
}

function string(cursor: Cursor, { unit }: File): string {
  return showable(cursor.bytes(cursor.u32() * unit)).replace(/\0+$/, "");
}

function records(cursor: Cursor, { unit }: File): Rec[] {
  const found: Rec[] = [];
  while (cursor.left >= 8) {
    const at = cursor.at;
    const tag = cursor.u32();
    if (tag === 0) break;
    // Below zero: as many counts, all of which are zero and not written.
    const length = Math.max(0, cursor.i32()) * unit;
    const data = cursor.skip(length);
    found.push({ tag, at, data, end: cursor.at });
    if (found.length > MAX_RECORDS) cursor.fail("too many records", at);
  }
  return found;
}

function functions(file: File, all: readonly Rec[], notes: boolean): Part[] {
  const parts: Part[] = [];
  for (let from = 0; from < all.length;) {
    let to = from + 1;
    while (to < all.length && all[to]?.tag !== FUNCTION) to++;
    const own = all.slice(from, to);
    from = to;
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined) continue;
    const lines = (): Iterable<string> => own.flatMap((record) => recordLines(file, record, notes));
    const key = first.tag === FUNCTION ? `function ${functionName(file, first, notes)}` : "summary";
    const ends = first.tag === FUNCTION && first.end - first.data >= 12 ? first.data + 12 : first.at;
    parts.push(
      group(key, first.at, last.end - first.at, () => [
        ...(ends > first.at ? [derived("checksums", first.at, ends - first.at)] : []),
        listing("records", ends, last.end - ends, "records", lines),
      ]),
    );
  }
  return parts;
}

function cursorOf({ source, what, little }: File, { data, end }: Rec): Cursor {
  return new Cursor(source, what, data, end, little);
}

/** In notes by name; counts know a function by a number made of its name and line. */
function functionName(file: File, record: Rec, notes: boolean): string {
  const cursor = cursorOf(file, record);
  const ident = cursor.u32();
  if (!notes || cursor.left < 12) return `0x${ident.toString(16).padStart(8, "0")}`;
  cursor.skip(8);
  return string(cursor, file).slice(0, 600);
}

function recordLines(file: File, record: Rec, notes: boolean): string[] {
  const cursor = cursorOf(file, record);
  const { tag } = record;
  if (tag === FUNCTION) return notes ? [declaration(cursor, file)] : [];
  if (tag === BLOCKS) return [`${cursor.u32()} blocks`];
  if (tag === ARCS) return [arcs(cursor)];
  if (tag === LINES) return [linesOf(cursor, file)];
  if (tag === SUMMARY) return [`runs ${cursor.u32()}, largest count ${cursor.left >= 4 ? cursor.u32() : "none"}`];
  const counts: string[] = [];
  if (cursor.left > MAX_COUNTS * 8) cursor.fail("a record too long to be told");
  while (cursor.left >= 8) counts.push(String(cursor.u64()));
  if (cursor.left > 0) counts.push(`and ${Buffer.from(cursor.bytes(cursor.left)).toString("hex")}`);
  return [`${tag === 0x01a10000 ? "arcs" : `0x${tag.toString(16)}`}: ${counts.join(" ") || "zeros"}`];
}

function declaration(cursor: Cursor, file: File): string {
  cursor.skip(12);
  const name = string(cursor, file);
  const words: string[] = [];
  const artificial = cursor.u32() === 0 ? "" : ", made by the compiler";
  const source = string(cursor, file);
  while (cursor.left >= 4) words.push(String(cursor.u32()));
  return `${quoted(name)} of ${quoted(source)}: ${words.join(" ")}${artificial}`;
}

function arcs(cursor: Cursor): string {
  const from = cursor.u32();
  const to: string[] = [];
  while (cursor.left >= 8) to.push(`${cursor.u32()} (${cursor.u32()})`);
  return `from ${from} to ${to.join(", ")}`;
}

function linesOf(cursor: Cursor, file: File): string {
  const block = cursor.u32();
  const found: string[] = [];
  while (cursor.left >= 4) {
    const line = cursor.u32();
    const name = line === 0 && cursor.left >= 4 ? string(cursor, file) : undefined;
    if (name === "") break;
    found.push(name === undefined ? String(line) : quoted(name));
  }
  return `block ${block}: ${found.join(" ")}`;
}
