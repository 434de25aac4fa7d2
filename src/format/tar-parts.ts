import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import type { Part } from "./part.ts";
import { type TarSpan, tarSpans } from "./tar-spans.ts";
import { NO_GLOBALS, type PaxGlobals, TAR_LIMITS, type TarEntry, tarEntryAt } from "./tar.ts";

/**
 * A tar as parts: a group for each member, in it each header field, the
 * content, and what fills up; then what follows the last member. Memory does
 * not grow with the archive. Throws what `tarEntryAt` throws.
 */
export function* tarParts(source: ByteSource): Generator<Part> {
  let globals: PaxGlobals = NO_GLOBALS;
  let at = 0;
  for (let members = 0; ; members++) {
    const read = tarEntryAt(source, at, globals);
    if (read.entry === undefined) break;
    if (members >= TAR_LIMITS.maxMembers) {
      throw new BitforbitError("limit", `${source.name}: more than ${TAR_LIMITS.maxMembers} members (maxMembers)`);
    }
    yield memberPart(source, read.entry, globals);
    at = read.entry.end;
    globals = read.globals;
  }
  yield {
    key: "trailing",
    kind: "padding",
    offset: at,
    length: source.size - at,
    note: "after the last member: the end marker and what follows it",
  };
}

function memberPart(source: ByteSource, { name, type, size, start, end }: TarEntry, globals: PaxGlobals): Part {
  // The entry is read anew where it is asked for: kept for each of a million members it would cost gigabytes.
  let entry: TarEntry | undefined;
  const again = (): TarEntry => {
    entry ??= tarEntryAt(source, start, globals).entry;
    if (entry !== undefined) return entry;
    throw new BitforbitError("input", `${source.name}: changed while it was read`, {
      hint: "let nothing write to it, then run again",
    });
  };
  return {
    key: name,
    kind: "group",
    offset: start,
    length: end - start,
    show: () => `${kindName(type)}, ${size} bytes${listed(again())}`,
    parts: () => partsOf(source, again()),
    says: (label) => valueOf(again(), label),
  };
}

/** What a listing of the archive would say of a member, for one that stands on one side only. */
function listed({ mode, uid, gid, uname, gname, mtimeText, linkName }: TarEntry): string {
  const names = uname === "" && gname === "" ? "" : ` (${uname}:${gname})`;
  const link = linkName === "" ? "" : ` to ${linkName}`;
  return `${link}, mode ${mode.toString(8).padStart(4, "0")}, owner ${uid}:${gid}${names}, mtime ${mtimeText}`;
}

function* partsOf(source: ByteSource, entry: TarEntry): Generator<Part> {
  const spans = tarSpans(source, entry);
  for (let at = 0; at < spans.length;) {
    // The header block of an extension is one thing: on one side only it is one difference, not twelve.
    const block = spans.slice(at).findIndex(({ field }) => !field.startsWith(EXTENSION));
    const inside = spans.slice(at, block < 0 ? spans.length : at + block);
    if (inside.length > 1) yield extensionPart(source, inside);
    else for (const span of spans.slice(at, at + 1)) yield fieldPart(entry, span);
    at += Math.max(1, inside.length);
  }
  const { dataOffset, size, end } = entry;
  yield { key: "", kind: "content", offset: dataOffset, length: size, name: entry.name };
  yield {
    key: "padding",
    kind: "padding",
    offset: dataOffset + size,
    length: end - dataOffset - size,
    note: "bytes between a member and the next, which should be zeros",
  };
}

const EXTENSION = "extension.";

function extensionPart(source: ByteSource, spans: readonly TarSpan[]): Part {
  const [first, last] = [spans[0], spans.at(-1)];
  const offset = first?.offset ?? 0;
  return {
    key: "extension header",
    kind: "group",
    offset,
    length: (last?.offset ?? 0) + (last?.length ?? 0) - offset,
    show: () => "a header of its own for long or precise values (PAX or GNU)",
    parts: () =>
      spans.map(({ field, offset: at, length }): Part => {
        const key = field.slice(EXTENSION.length);
        const kind = DERIVED.has(field) ? "derived" : key === "padding" ? "padding" : "field";
        const text = (): string => showable(source.read(at, length)).replace(/[\0 ]+$/, "");
        const octal = (): string => String(Number.parseInt(text(), 8));
        return { key, kind, offset: at, length, show: key === "mtime" ? octal : text };
      }),
  };
}

function fieldPart(entry: TarEntry, { field, offset, length }: TarSpan): Part {
  if (field === "extension.padding") return { key: field, kind: "padding", label: "padding", offset, length };
  const label = LABEL[field] ?? field;
  const said = valueOf(entry, label);
  const show = said === undefined ? {} : { show: () => said };
  return { key: field, kind: DERIVED.has(field) ? "derived" : "field", label, offset, length, ...show };
}

const KINDS: Readonly<Record<string, string>> = {
  "0": "file",
  "1": "hard link",
  "2": "link",
  "3": "character device",
  "4": "block device",
  "5": "folder",
  "6": "FIFO",
  "7": "contiguous file",
  S: "sparse file",
};

function kindName(type: string): string {
  return KINDS[type] ?? `type ${JSON.stringify(type)}`;
}

const DERIVED: ReadonlySet<string> = new Set(["pax.size", "size", "checksum", "extension.size", "extension.checksum"]);

/** What a span tells; names are those of `tarSpans`. */
const LABEL: Readonly<Record<string, string>> = {
  prefix: "name",
  "pax.path": "name",
  longname: "name",
  linkname: "link",
  "pax.linkpath": "link",
  longlink: "link",
  "pax.mtime": "mtime",
  "pax.atime": "atime",
  "pax.ctime": "ctime",
  "pax.uid": "uid",
  "pax.gid": "gid",
  "pax.uname": "uname",
  "pax.gname": "gname",
  magic: "format",
  devmajor: "device",
  devminor: "device",
};

function valueOf(entry: TarEntry, label: string): string | undefined {
  switch (label) {
    case "name":
      return entry.name;
    case "link":
      return entry.linkName;
    case "mtime":
      return entry.mtimeText;
    case "atime":
    case "ctime": {
      const record = entry.pax.get(label);
      return record === undefined ? "" : showable(record.value);
    }
    case "mode":
      return entry.mode.toString(8).padStart(4, "0");
    case "uid":
      return String(entry.uid);
    case "gid":
      return String(entry.gid);
    case "uname":
      return entry.uname;
    case "gname":
      return entry.gname;
    case "type":
      return kindName(entry.type);
    case "format":
      return entry.dialect;
    case "device":
      return `${entry.devMajor}:${entry.devMinor}`;
    default:
      return undefined;
  }
}
