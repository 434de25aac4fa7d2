import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import type { Part } from "./part.ts";
import { tarSpans } from "./tar-spans.ts";
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
    show: () => `${kindName(type)}, ${size} bytes`,
    parts: () => partsOf(source, again()),
    says: (label) => valueOf(again(), label),
  };
}

function* partsOf(source: ByteSource, entry: TarEntry): Generator<Part> {
  for (const { field, offset, length } of tarSpans(source, entry)) {
    const label = LABEL[field] ?? field;
    const said = valueOf(entry, label);
    const show = said === undefined ? {} : { show: () => said };
    yield { key: field, kind: DERIVED.has(field) ? "derived" : "field", label, offset, length, ...show };
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
