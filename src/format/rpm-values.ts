import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import type { RpmEntry } from "./rpm-header.ts";

/** What the values of rpm's tags mean: shown decoded, those of a list found by what they belong to. */
const FILE_FLAGS = [
  "config",
  "doc",
  "icon",
  "missingok",
  "noreplace",
  "specfile",
  "ghost",
  "license",
  "readme",
  "bit 9",
  "bit 10",
  "pubkey",
  "artifact",
];
const SENSE: readonly (readonly [bit: number, name: string])[] = [
  [8, "interp"],
  [9, "pre"],
  [10, "post"],
  [11, "preun"],
  [12, "postun"],
  [13, "verify"],
  [14, "found as required"],
  [15, "found as provided"],
  [16, "triggerin"],
  [17, "triggerun"],
  [18, "triggerpostun"],
  [19, "missingok"],
  [24, "rpmlib"],
  [28, "config"],
];
/** Lists of something else than files, by the list that names their entries. */
const NAMED_BY: readonly (readonly [tags: RegExp, by: string])[] = [
  [/^(require|provide|conflict|obsolete|recommend|suggest|supplement|enhance|order)(?:version|flags)$/, "name"],
  [/^(changelog)(?:time|text)$/, "name"],
  [/^((?:trans)?(?:file)?trigger)(?:version|flags|index)$/, "name"],
];
const PER_FILE =
  /^(?:file(?!names|provide|require|triggers?|signaturelength|digestalgo).*|longfilesizes|basenames|dirindexes|oldfilenames)$/;
const MAX_PATH = 4096;

/** One value: its number, its string, or what its bits are called. */
export function rpmValue(source: ByteSource, tag: string, type: number, offset: number, length: number): string {
  if (type >= 6) return showable(source.read(offset, Math.min(length, 4096))).replace(/\0$/, "");
  const bytes = source.read(offset, length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (length === 8) return String(view.getBigUint64(0));
  const number = length === 4 ? view.getUint32(0) : length === 2 ? view.getUint16(0) : view.getUint8(0);
  if (tag === "filemodes") return number.toString(8);
  if (tag === "fileflags")
    return (
      bitNames(
        number,
        FILE_FLAGS.map((name, bit) => [bit, name] as const),
      ) || "none"
    );
  if (tag.endsWith("flags") && NAMED_BY.some(([tags]) => tags.test(tag))) return senseOf(number);
  return String(number);
}

function senseOf(flags: number): string {
  const sign = `${(flags & 2) === 0 ? "" : "<"}${(flags & 4) === 0 ? "" : ">"}${(flags & 8) === 0 ? "" : "="}`;
  return [sign === "" ? "any version" : sign, bitNames(flags & ~0xff, SENSE)].filter((text) => text !== "").join(", ");
}

function bitNames(value: number, names: readonly (readonly [bit: number, name: string])[]): string {
  return names
    .filter(([bit]) => ((value >>> bit) & 1) === 1)
    .map(([, name]) => name)
    .join(", ");
}

/** Gives the names of the entries of a list, by its tag; undefined where they have none. */
export function rpmNames(
  source: ByteSource,
  entries: readonly RpmEntry[],
): (tag: string) => readonly string[] | undefined {
  const known = new Map<string, readonly string[] | undefined>();
  const strings = (name: string): string[] | undefined => {
    const entry = entries.find((one) => one.name === name && (one.type === 8 || one.type === 9));
    if (entry === undefined) return undefined;
    let at = entry.offset;
    return stringEnds(source, entry, entry.count).map((end) => {
      const from = at;
      at = end;
      return showable(source.read(from, Math.min(end - from - 1, MAX_PATH)));
    });
  };
  const once = (key: string, make: () => string[] | undefined): readonly string[] | undefined => {
    if (!known.has(key)) known.set(key, make());
    return known.get(key);
  };
  return (tag) => {
    if (PER_FILE.test(tag)) return once("files", () => fileNames(source, entries, strings));
    for (const [tags, by] of NAMED_BY) {
      const match = tags.exec(tag);
      if (match !== null) return once(`${match[1]}${by}`, () => strings(`${match[1]}${by}`));
    }
    return undefined;
  };
}

/** Paths out of base names and folders, or as old packages have them. */
function fileNames(
  source: ByteSource,
  entries: readonly RpmEntry[],
  strings: (name: string) => string[] | undefined,
): string[] | undefined {
  const bases = strings("basenames");
  const folders = strings("dirnames");
  const indexes = entries.find((one) => one.name === "dirindexes" && one.type === 4);
  if (bases === undefined || folders === undefined || indexes === undefined) return strings("oldfilenames");
  if (indexes.count * 4 > indexes.limit - indexes.offset) return undefined;
  const bytes = source.read(indexes.offset, indexes.count * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bases.map((base, at) => {
    const folder = at < indexes.count ? folders[view.getUint32(at * 4)] : undefined;
    return `${folder ?? ""}${base}`;
  });
}

/** Where each of `count` strings ends, behind its NUL; fewer when there are fewer. */
export function stringEnds(source: ByteSource, entry: RpmEntry, count: number): number[] {
  const bytes = source.read(entry.offset, entry.limit - entry.offset);
  const ends: number[] = [];
  for (let at = 0; ends.length < count;) {
    const end = bytes.indexOf(0, at);
    if (end < 0) return [];
    at = end + 1;
    ends.push(entry.offset + at);
  }
  return ends;
}
