import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { AR_LIMITS, AR_MAGIC, type ArMember, arMembers } from "./ar.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * The cut of ar archives: static libraries, Rust's .rlib, Go's .a, the outside
 * of a .deb. Besides what `ar.ts` reads, names come in four forms:
 *
 *     name/            GNU, at most 15 characters        name     BSD, likewise
 *     /123             GNU: offset in the member //      #1/20    BSD: the first 20 bytes of the data
 *
 * and some members are tables: `/` and `/SYM64/` (GNU, Microsoft), `__.SYMDEF`
 * and its like (BSD): which member defines which symbol; `//`: the long names.
 */
const HEADER = 60;
const MAX_NAMES = 8 << 20;
const MAX_NAME = 4096;

/** One part a member, by name; bounded by `AR_LIMITS.maxMembers`. Throws as `arMembers`. */
export function* arParts(source: ByteSource): Generator<Part> {
  yield field("magic", 0, AR_MAGIC.length, () => showable(source.read(0, AR_MAGIC.length)).trimEnd());
  let longNames: ArMember | undefined;
  for (const member of arMembers(source, { ...AR_LIMITS, thin: true })) {
    const end = member.dataOffset + member.size;
    if (member.name === "//") {
      longNames = member;
      yield group("long names", member.headerOffset, HEADER + member.size, () => longNameParts(source, member));
    } else if (isSymbolTable(source, member)) {
      yield group("symbol table", member.headerOffset, HEADER + member.size, () => tableParts(source, member));
    } else {
      const named = nameOf(source, member, longNames);
      yield group(named.name, member.headerOffset, HEADER + member.size, () => memberParts(source, member, named));
    }
    if (member.size % 2 === 1 && end < source.size) yield { key: "padding", kind: "padding", offset: end, length: 1 };
  }
}

interface Named {
  name: string;
  /** What the header holds is the name itself, not where to find it. */
  inHeader: boolean;
  /** Bytes of the data that are the name (BSD). */
  inData: number;
}

function nameOf(source: ByteSource, member: ArMember, longNames: ArMember | undefined): Named {
  const bsd = /^#1\/([0-9]+)$/.exec(member.name);
  if (bsd !== null) {
    const inData = Number(bsd[1]);
    if (inData > member.size || inData > MAX_NAME) {
      throw new BitforbitError(
        "input",
        `${source.name}: ar, offset ${member.headerOffset}: a name of ${inData} bytes in ${member.size} bytes`,
      );
    }
    return { name: cut(source.read(member.dataOffset, inData)), inHeader: false, inData };
  }
  // After the number, a thin archive may give the place within another archive.
  const gnu = /^\/([0-9]+)(?::[0-9]+)?$/.exec(member.name);
  if (gnu !== null && longNames !== undefined && Number(gnu[1]) < longNames.size) {
    const at = Number(gnu[1]);
    const bytes = source.read(longNames.dataOffset + at, Math.min(MAX_NAME, longNames.size - at));
    const end = nameEnd(bytes, 0);
    return { name: showable(bytes.subarray(0, end.name)), inHeader: false, inData: 0 };
  }
  return { name: member.name, inHeader: true, inData: 0 };
}

function cut(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return showable(end < 0 ? bytes : bytes.subarray(0, end));
}

/** GNU ends a long name by `/` and a line feed, Microsoft by NUL. */
function nameEnd(bytes: Uint8Array, from: number): { name: number; next: number } {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] === 0) return { name: at, next: at + 1 };
    if (bytes[at] === 0x0a) return { name: bytes[at - 1] === 0x2f && at > from ? at - 1 : at, next: at + 1 };
  }
  return { name: bytes.length, next: bytes.length };
}

function isSymbolTable(source: ByteSource, member: ArMember): boolean {
  if (/^(?:\/|\/SYM64|\/<(?:XFG|EC)SYM.*|__\.SYMDEF.*)$/.test(member.name)) return true;
  if (!/^#1\/(?:12|16|20|24)$/.test(member.name) || member.size < 9) return false;
  return showable(source.read(member.dataOffset, 9)) === "__.SYMDEF";
}

function* headerParts(source: ByteSource, member: ArMember, nameInHeader: boolean): Generator<Part> {
  const at = member.headerOffset;
  const text = (from: number, length: number) => () => showable(source.read(at + from, length)).trimEnd();
  yield nameInHeader ? field("name", at, 16, text(0, 16)) : derived("name reference", at, 16);
  yield field("mtime", at + 16, 12, text(16, 12));
  yield field("uid", at + 28, 6, text(28, 6));
  yield field("gid", at + 34, 6, text(34, 6));
  yield field("mode", at + 40, 8, text(40, 8));
  yield derived("size", at + 48, 10);
  yield field("end of header", at + 58, 2);
}

function* memberParts(source: ByteSource, member: ArMember, named: Named): Generator<Part> {
  yield* headerParts(source, member, named.inHeader);
  if (named.inData > 0) yield field("name", member.dataOffset, named.inData, () => named.name);
  const offset = member.dataOffset + named.inData;
  const length = member.size - named.inData;
  if (length > 0) yield { key: "", kind: "content", offset, length, name: named.name };
}

/** All of it follows from the members, except the header's time and owner. */
function* tableParts(source: ByteSource, member: ArMember): Generator<Part> {
  yield* headerParts(source, member, true);
  if (member.size > 0) yield derived("symbols", member.dataOffset, member.size);
}

function* longNameParts(source: ByteSource, member: ArMember): Generator<Part> {
  yield* headerParts(source, member, true);
  if (member.size > MAX_NAMES) return;
  const bytes = source.read(member.dataOffset, member.size);
  for (let at = 0; at < bytes.length;) {
    const end = nameEnd(bytes, at);
    const name = showable(bytes.subarray(at, end.name));
    const [offset, length] = [member.dataOffset + at, end.next - at];
    if (name === "") yield { key: "padding", kind: "padding", offset, length };
    else yield field(name, offset, length, () => name);
    at = end.next;
  }
}
