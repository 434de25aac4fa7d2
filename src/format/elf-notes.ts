import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { derived, field, group, type Part } from "./part.ts";
import { flagged, Words } from "./record.ts";

/**
 * Notes (gABI, chapter 5, "Note Section"), each told by its owner and type:
 *
 *     name-size(4) content-size(4) type(4) name, padding   content, padding
 *
 * padded to 4 bytes, or to 8 in a section aligned so.
 */
const MAX_SECTION = 64 << 20;
const KINDS: Readonly<Record<string, string>> = {
  "GNU 1": "ABI tag",
  "GNU 3": "build-id",
  "GNU 4": "gold version",
  "GNU 5": "properties",
  "Go 4": "Go build ID",
  "FDO 3405650558": "package",
  "stapsdt 3": "probe",
  "FreeBSD 1": "ABI tag",
  "OpenBSD 1": "ABI tag",
  "NetBSD 1": "ABI tag",
  "Xen 5": "Xen version",
};
const SYSTEMS = ["Linux", "Hurd", "Solaris", "FreeBSD"];

export function* noteParts(
  source: ByteSource,
  offset: number,
  length: number,
  little: boolean,
  align: number,
): Generator<Part> {
  if (length > MAX_SECTION) return;
  const words = new Words(source.read(offset, length).slice(), little, `${source.name}: notes at offset ${offset}`);
  const step = align === 8 ? 8 : 4;
  const padded = (size: number): number => Math.ceil(size / step) * step;
  for (let at = 0; at + 12 <= length;) {
    const nameSize = words.u32(at);
    const contentSize = words.u32(at + 4);
    const type = words.u32(at + 8);
    const content = padded(at + 12 + nameSize);
    if (content + contentSize > length) return;
    const owner = words.text(at + 12, nameSize);
    const end = Math.min(length, padded(content + contentSize));
    const kind = KINDS[`${owner} ${type}`] ?? `${owner} type ${type}`;
    const note = {
      at: offset + at,
      name: offset + at + 12,
      nameSize,
      content: offset + content,
      contentSize,
      end: offset + end,
    };
    yield group(`note ${kind}`, note.at, note.end - note.at, () => oneNote(words, note, kind, offset));
    at = end;
  }
}

interface Note {
  at: number;
  name: number;
  nameSize: number;
  content: number;
  contentSize: number;
  end: number;
}

function* oneNote(words: Words, note: Note, kind: string, start: number): Generator<Part> {
  yield derived("sizes", note.at, 8);
  yield field("type", note.at + 8, 4, () => String(words.u32(note.at - start + 8)));
  yield field("owner", note.name, note.nameSize, () => words.text(note.name - start, note.nameSize));
  if (note.contentSize > 0) yield contentPart(words, note, kind, start);
  const filled = note.content + note.contentSize;
  if (note.end > filled) yield { key: "padding", kind: "padding", offset: filled, length: note.end - filled };
}

function contentPart(words: Words, note: Note, kind: string, start: number): Part {
  const { content: offset, contentSize: length } = note;
  const bytes = (): Uint8Array => words.bytes.subarray(offset - start, offset - start + length);
  if (kind === "package") {
    // It ends with one NUL or several, which are no JSON.
    const text = bytes().indexOf(0);
    return { key: "json", kind: "content", offset, length: text < 0 ? length : text, name: "package.json" };
  }
  if (kind === "build-id") {
    const part = field("build-id", offset, length, () => hex(bytes()));
    part.note = "usually a hash of what was linked, so that any other difference changes it";
    return part;
  }
  if (kind === "Go build ID" || kind === "gold version") return field(kind, offset, length, () => showable(bytes()));
  if (kind === "properties") return field(kind, offset, length, () => properties(words, offset - start, length));
  if (kind === "ABI tag" && length === 16) {
    const number = (index: number): number => words.u32(offset - start + index * 4);
    const show = (): string => `${SYSTEMS[number(0)] ?? number(0)} ${number(1)}.${number(2)}.${number(3)}`;
    return field(kind, offset, length, show);
  }
  if (kind === "probe") return field(kind, offset, length, () => probe(bytes()));
  if (length <= 64) return field("content", offset, length, () => shownContent(bytes()));
  return { key: "content", kind: "bytes", offset, length };
}

function shownContent(bytes: Uint8Array): string {
  return /^[\t\n\x20-\x7e]+\0*$/.test(showable(bytes)) ? showable(bytes).replace(/\0+$/, "") : hex(bytes);
}

/** Provider, name and arguments of a static probe follow its three addresses. */
function probe(bytes: Uint8Array): string {
  return showable(bytes.subarray(24)).split("\0").slice(0, 3).join(" ");
}

const X86_FEATURES = flagged({ 1: "IBT", 2: "SHSTK" });
const X86_LEVELS = flagged({ 1: "baseline", 2: "v2", 4: "v3", 8: "v4" });
const ARM_FEATURES = flagged({ 1: "BTI", 2: "PAC" });

/** Linux Extensions to gABI, "Program Property". */
function properties(words: Words, from: number, length: number): string {
  const said: string[] = [];
  for (let at = from; at + 8 <= from + length && said.length < 64;) {
    const type = words.u32(at);
    const size = words.u32(at + 4);
    if (at + 8 + size > from + length) break;
    const value = size === 4 ? BigInt(words.u32(at + 8)) : 0n;
    if (type === 0xc0000002) said.push(`x86 features: ${X86_FEATURES(value)}`);
    else if (type === 0xc0008002) said.push(`x86 level needed: ${X86_LEVELS(value)}`);
    else if (type === 0xc0010002) said.push(`x86 level used: ${X86_LEVELS(value)}`);
    else if (type === 0xc0000000) said.push(`AArch64 features: ${ARM_FEATURES(value)}`);
    else
      said.push(`property 0x${type.toString(16)}: ${hex(words.bytes.subarray(at + 8, at + 8 + Math.min(size, 16)))}`);
    at += 8 + Math.ceil(size / 8) * 8;
  }
  return said.join("; ");
}
