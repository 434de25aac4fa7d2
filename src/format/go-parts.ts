import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { goTable } from "./go-functions.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";
import { stringParts } from "./string-parts.ts";

/**
 * What Go's linker puts into a program (go/src/debug/buildinfo/buildinfo.go):
 *
 *     "\xff Go buildinf:" pointer-size flags   at 32, for flag 2: uleb length, version, uleb length, module text
 *
 * Before Go 1.18, at 16: two pointers to strings. The module text has a marker
 * of 16 bytes on either side (cmd/go/internal/modload), and a line for each thing:
 * `path`, `mod`, `dep`, `=>`, `build`, their fields parted by tabs.
 */
const MAGIC = [0xff, 0x20, 0x47, 0x6f, 0x20, 0x62, 0x75, 0x69, 0x6c, 0x64, 0x69, 0x6e, 0x66, 0x3a];
const MARKER = 16;
const MAX_TEXT = 4 << 20;

export function* goBuildInfoParts(source: ByteSource, offset: number, length: number): Generator<Part> {
  if (length < 32) return;
  const words = new Words(
    source.read(offset, Math.min(length, MAX_TEXT)).slice(),
    true,
    `${source.name}: Go build info`,
  );
  if (!MAGIC.every((byte, at) => words.bytes[at] === byte)) return;
  yield field("magic", offset, 14, () => "Go buildinf");
  yield field("pointer size", offset + 14, 1);
  yield field("flags", offset + 15, 1, () => String(words.u8(15)));
  if ((words.u8(15) & 2) === 0) {
    yield derived("pointers", offset + 16, 16);
    return;
  }
  yield { key: "padding", kind: "padding", offset: offset + 16, length: 16 };
  const reader = new DwarfReader(words, 32);
  const version = sizedText(reader);
  yield derived("version length", offset + 32, version.at - 32);
  yield field("Go version", offset + version.at, version.length, () => showable(textIn(words, version)));
  const lengthAt = reader.at;
  const modules = sizedText(reader);
  yield derived("modules length", offset + lengthAt, modules.at - lengthAt);
  yield* moduleParts(words, offset, modules);
}

interface Span {
  at: number;
  length: number;
}

function sizedText(reader: DwarfReader): Span {
  const length = reader.uleb();
  return { at: reader.step(length), length };
}

const textIn = (words: Words, { at, length }: Span): Uint8Array => words.bytes.subarray(at, at + length);

function* moduleParts(words: Words, offset: number, { at, length }: Span): Generator<Part> {
  const bytes = words.bytes;
  let from = at + (length >= 2 * MARKER ? MARKER : 0);
  const end = at + length - (length >= 2 * MARKER ? MARKER : 0);
  if (from > at) yield derived("begin marker", offset + at, MARKER);
  while (from < end) {
    const stop = bytes.indexOf(0x0a, from);
    const next = stop < 0 || stop >= end ? end : stop + 1;
    const line = showable(bytes.subarray(from, next)).trimEnd();
    const { key, value } = moduleLine(line);
    yield field(key, offset + from, next - from, () => value);
    from = next;
  }
  if (end < at + length) yield derived("end marker", offset + end, at + length - end);
}

/** `dep` is known by the module, `build` by the setting. */
function moduleLine(line: string): { key: string; value: string } {
  const [kind = "", name = "", ...rest] = line.split("\t");
  if (kind === "build") {
    const equals = name.indexOf("=");
    return { key: `build ${name.slice(0, equals)}`, value: name.slice(equals + 1) };
  }
  if (kind === "path") return { key: "path", value: name };
  return { key: `${kind} ${name}`, value: rest.join(" ") };
}

/** The runtime's function table: names and files as strings, all else follows from the code. */
export function* goTableParts(source: ByteSource, offset: number, length: number): Generator<Part> {
  const table = goTable(source, offset, length);
  const first = table?.pieces[0]?.at;
  if (table === undefined || first === undefined) return;
  yield derived("header", offset, first);
  for (const [index, { key, at }] of table.pieces.entries()) {
    const size = (table.pieces[index + 1]?.at ?? length) - at;
    const place = offset + at;
    if (key.endsWith("names")) yield group(key, place, size, () => stringParts(source, place, size));
    else yield derived(key, place, size);
  }
}
