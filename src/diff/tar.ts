import { type ByteSource, firstDifference, partOf } from "../bytesource.ts";
import { tarSpans } from "../format/tar-spans.ts";
import { NO_GLOBALS, type PaxGlobals, TAR_LIMITS, type TarEntry, tarEntryAt } from "../format/tar.ts";
import { BitforbitError } from "../errors.ts";
import { byteLeaves } from "./bytes.ts";
import { type Comparison, fieldText, isFull, onlyLeaf, rangeOf, restLeaf } from "./comparison.ts";
import type { Difference, Leaf, Range } from "./difference.ts";
import { Names } from "./pairing.ts";
import { DERIVED, type Derived, derivedLeaf, fieldLeaves, newDerived, orderLeaf, type Reading } from "./fields.ts";

/** Where members are: little for each, since there may be a million. */
interface Index {
  names: Names;
  starts: number[];
  globals: PaxGlobals[];
  end: number;
}

function indexOf(source: ByteSource): Index {
  const index: Index = { names: new Names(), starts: [], globals: [], end: 0 };
  let globals = NO_GLOBALS;
  for (;;) {
    const read = tarEntryAt(source, index.end, globals);
    if (read.entry === undefined) return index;
    if (index.starts.length >= TAR_LIMITS.maxMembers) {
      throw new BitforbitError("limit", `${source.name}: more than ${TAR_LIMITS.maxMembers} members (maxMembers)`);
    }
    index.names.add(read.entry.name);
    index.starts.push(index.end);
    index.globals.push(globals);
    index.end = read.entry.end;
    globals = read.globals;
  }
}

interface Side {
  source: ByteSource;
  index: Index;
}

/** Compares two tar archives member by member. Throws what `tarEntryAt` throws. */
export async function diffTar(
  comparison: Comparison,
  sourceA: ByteSource,
  sourceB: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  const a: Side = { source: sourceA, index: indexOf(sourceA) };
  const b: Side = { source: sourceB, index: indexOf(sourceB) };
  const children: (Difference | Leaf)[] = [];
  const derived = newDerived();
  const order = orderLeaf(
    comparison,
    path,
    a.index.names.keys(),
    b.index.names.keys(),
    "the members stand in another order",
  );
  if (order !== undefined) children.push(order);
  for (let at = 0; at < a.index.starts.length; at++) {
    const place = a.index.names.partner(at, b.index.names);
    if (isFull(comparison)) {
      const from = a.index.starts[at] ?? 0;
      const rest = rangeOf(from, sourceA.size - from);
      children.push(
        restLeaf(comparison, path, rest, rangeOf(Math.min(from, sourceB.size), Math.max(0, sourceB.size - from))),
      );
      break;
    }
    if (place === undefined) children.push(onlyMember(comparison, "a", a, at, path));
    else children.push(...(await diffMember(comparison, a, at, b, place, path, depth, derived)));
  }
  for (let at = 0; at < b.index.starts.length && !isFull(comparison); at++) {
    if (b.index.names.partner(at, a.index.names) === undefined) children.push(onlyMember(comparison, "b", b, at, path));
  }
  children.push(...trailing(comparison, a, b, path));
  children.push(...derivedLeaf(comparison, path, derived, children.length === 0));
  return { kind: "node", path, format: "tar", children };
}

function endOf(side: Side, at: number): number {
  return side.index.starts[at + 1] ?? side.index.end;
}

function entryAt(side: Side, at: number): TarEntry {
  const read = tarEntryAt(side.source, side.index.starts[at] ?? 0, side.index.globals[at] ?? NO_GLOBALS);
  if (read.entry === undefined) {
    throw new BitforbitError("input", `${side.source.name}: changed while it was read`, {
      hint: "let nothing write to it, then run again",
    });
  }
  return read.entry;
}

function onlyMember(comparison: Comparison, side: "a" | "b", where: Side, at: number, path: string[]): Leaf {
  const start = where.index.starts[at] ?? 0;
  const entry = entryAt(where, at);
  return onlyLeaf(comparison, side, [...path, where.index.names.shown(at)], {
    source: where.source,
    range: rangeOf(start, endOf(where, at) - start),
    shown: `${kindName(entry.type)}, ${entry.size} bytes`,
  });
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

async function diffMember(
  comparison: Comparison,
  a: Side,
  atA: number,
  b: Side,
  atB: number,
  path: string[],
  depth: number,
  derived: Derived,
): Promise<(Difference | Leaf)[]> {
  const startA = a.index.starts[atA] ?? 0;
  const startB = b.index.starts[atB] ?? 0;
  const whole = (side: Side, start: number, at: number): ByteSource =>
    partOf(side.source, start, endOf(side, at) - start);
  const regionA = whole(a, startA, atA);
  const regionB = whole(b, startB, atB);
  if (regionA.size === regionB.size && firstDifference(regionA, regionB) === undefined) return [];
  const memberPath = [...path, a.index.names.shown(atA)];
  const entryA = entryAt(a, atA);
  const entryB = entryAt(b, atB);
  const children: (Difference | Leaf)[] = fieldLeaves(
    comparison,
    memberPath,
    { source: a.source, spans: tarSpans(a.source, entryA) },
    { source: b.source, spans: tarSpans(b.source, entryB) },
    reading(entryA, entryB),
    derived,
  );
  const contentA = partOf(a.source, entryA.dataOffset, entryA.size, entryA.name);
  const contentB = partOf(b.source, entryB.dataOffset, entryB.size, entryB.name);
  const content = await comparison.descend(contentA, contentB, memberPath, depth + 1);
  if (content !== undefined) children.push(content);
  children.push(...padding(comparison, a.source, entryA, b.source, entryB, memberPath));
  return children;
}

function fillOf(entry: TarEntry): Range {
  const end = entry.dataOffset + entry.size;
  return rangeOf(end, entry.end - end);
}

function bytesOf(source: ByteSource, range: Range): Uint8Array {
  return source.read(range.offset, range.length).slice();
}

/** The bytes that fill a member up to the next block should be zeros; some writers leave old memory there. */
function padding(
  comparison: Comparison,
  sourceA: ByteSource,
  a: TarEntry,
  sourceB: ByteSource,
  b: TarEntry,
  path: string[],
): Leaf[] {
  const [rangeA, rangeB] = [fillOf(a), fillOf(b)];
  const [bytesA, bytesB] = [bytesOf(sourceA, rangeA), bytesOf(sourceB, rangeB)];
  const zero = bytesA.every((byte) => byte === 0) && bytesB.every((byte) => byte === 0);
  // Zeros of another length follow from another size of the content.
  if (zero && (a.size !== b.size || rangeA.length === rangeB.length)) return [];
  if (Buffer.compare(bytesA, bytesB) === 0) return [];
  return byteLeaves(
    comparison,
    partOf(sourceA, rangeA.offset, rangeA.length),
    partOf(sourceB, rangeB.offset, rangeB.length),
    path,
    {
      field: "padding",
      baseA: rangeA.offset,
      baseB: rangeB.offset,
      note: "bytes between a member and the next, which should be zeros",
    },
  );
}

/** What follows the last member: blocks of zeros, or what should not be there. */
function trailing(comparison: Comparison, a: Side, b: Side, path: string[]): Leaf[] {
  const restA = partOf(a.source, a.index.end, a.source.size - a.index.end);
  const restB = partOf(b.source, b.index.end, b.source.size - b.index.end);
  return byteLeaves(comparison, restA, restB, path, {
    field: "trailing",
    baseA: a.index.end,
    baseB: b.index.end,
    note: "after the last member: the end marker and what follows it",
  });
}

/** Which logical field a span belongs to. Names are those of `tarSpans`. */
const FIELD: Readonly<Record<string, string>> = {
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
  "pax.size": DERIVED,
  size: DERIVED,
  checksum: DERIVED,
  "extension.size": DERIVED,
  "extension.checksum": DERIVED,
  magic: "format",
  devmajor: "device",
  devminor: "device",
};

function reading(a: TarEntry, b: TarEntry): Reading {
  return {
    fieldOf: (span) => FIELD[span] ?? span,
    valueOf: (field, side) => valueOf(side === "a" ? a : b, field),
  };
}

function valueOf(entry: TarEntry, field: string): string | undefined {
  switch (field) {
    case "name":
      return entry.name;
    case "link":
      return entry.linkName;
    case "mtime":
      return entry.mtimeText;
    case "atime":
    case "ctime": {
      const record = entry.pax.get(field);
      return record === undefined ? "" : fieldText(record.value);
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
