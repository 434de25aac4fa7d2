import { type ByteSource, memorySource } from "../bytesource.ts";
import { type PaxRecord, paxRecords, tarEntries, type TarEntry, type TarExtension } from "../format/tar.ts";
import { BLOCK, cString, fieldOf, octal, padded, TAR_FIELDS, tarChecksum } from "../format/tar-header.ts";
import { paxRecord } from "../format/tar-write.ts";
import { byteOrder } from "../order.ts";
import { counted, type Normalised, type Still } from "./normalised.ts";

/**
 * A tar with no time later than the source's, owned by root where it was owned
 * by who built, its members in the order of their names. Modes, attributes and
 * contents are what they were.
 */
export function normalisedTar(bytes: Uint8Array, still: Still): Normalised {
  const source = memorySource(bytes, "tar");
  const entries = [...tarEntries(source)];
  const own = isOwn(entries, still);
  let [times, names] = [0, 0];
  const members = new Map<TarEntry, Uint8Array[]>();
  for (const entry of entries) {
    const main = bytes.slice(entry.headerOffset, entry.headerOffset + BLOCK);
    let late = clampBlock(main, still.epoch);
    if (own) disown(main);
    if (late || own) sum(main);
    const parts: Uint8Array[] = [];
    for (const extension of entry.extensions) {
      const changed = normalisedExtension(source, extension, still.epoch, own);
      late ||= changed.late;
      if (changed.renamed) names++;
      parts.push(...changed.parts);
    }
    if (late) times++;
    members.set(entry, [...parts, main, bytes.subarray(entry.headerOffset + BLOCK, entry.end)]);
  }
  const sorted = inOrder(entries);
  const moved = sorted.some((entry, index) => entry !== entries[index]);
  const done = [
    ...counted(times, "member's time", "members' times"),
    ...(own ? ["the owner"] : []),
    ...counted(names, "number of a process", "numbers of processes"),
    ...(moved ? ["the order of members"] : []),
  ];
  if (done.length === 0) return { bytes, done };
  const last = Math.max(...entries.map(({ end }) => end));
  const parts = sorted.flatMap((entry) => members.get(entry) ?? []);
  return { bytes: new Uint8Array(Buffer.concat([...parts, bytes.subarray(last)])), done };
}

/** A header before a member's own, and what it holds; of PAX's records the times are made anew, the others stay. */
function normalisedExtension(
  source: ByteSource,
  extension: TarExtension,
  epoch: number,
  own: boolean,
): { parts: Uint8Array[]; late: boolean; renamed: boolean } {
  const { type, headerOffset, dataOffset, size } = extension;
  const block = source.read(headerOffset, BLOCK).slice();
  const records = type === "x" || type === "g" ? paxRecords(source, extension) : [];
  const shown = records.map(
    (record) => clampedRecord(record, epoch) ?? source.read(record.offset, record.length).slice(),
  );
  const late = records.some((record) => clampedRecord(record, epoch) !== undefined);
  const renamed = withoutPid(block);
  const clamped = clampBlock(block, epoch);
  if (own) disown(block);
  const data = late ? new Uint8Array(Buffer.concat(shown)) : source.read(dataOffset, size).slice();
  if (late) put(block, "size", data.length.toString(8).padStart(11, "0"));
  if (late || renamed || clamped || own) sum(block);
  return { parts: [block, data, new Uint8Array(padded(data.length) - data.length)], late: late || clamped, renamed };
}

/** Whether who built owns all of it: then owners were not chosen, they came about. */
function isOwn(entries: readonly TarEntry[], { user }: Still): boolean {
  if (user.uid === 0 || entries.length === 0) return false;
  return entries.every(
    ({ uid, gid, pax }) => uid === user.uid && gid === user.gid && !pax.has("uid") && !pax.has("gid"),
  );
}

function clampBlock(block: Uint8Array, epoch: number): boolean {
  const field = fieldOf(block, "mtime");
  const mtime = ((field[0] ?? 0) & 0x80) === 0 ? octal(field) : undefined;
  if (mtime === undefined || mtime <= epoch) return false;
  put(block, "mtime", epoch.toString(8).padStart(11, "0"));
  return true;
}

/** A later time of PAX as a record with the source's: without a fraction, which GNU tar writes without its last zeros. */
function clampedRecord({ key, value }: PaxRecord, epoch: number): Uint8Array | undefined {
  const text = Buffer.from(value).toString("latin1");
  if (!/^(?:mtime|atime|ctime)$/.test(key) || !/^\d+(?:\.\d*)?$/.test(text) || Number(text) <= epoch) return undefined;
  return paxRecord(key, Buffer.from(String(epoch)));
}

/** GNU tar calls a PAX header after the process that wrote it: `dir/PaxHeaders.4711/name`. */
function withoutPid(block: Uint8Array): boolean {
  const name = Buffer.from(cString(fieldOf(block, "name"))).toString("latin1");
  const fixed = name.replace(/(^|\/)PaxHeaders\.\d+(?=\/)/, "$1PaxHeaders.0");
  if (fixed === name) return false;
  fieldOf(block, "name").fill(0);
  put(block, "name", fixed);
  return true;
}

function disown(block: Uint8Array): void {
  for (const field of ["uid", "gid"]) put(block, field, "0".repeat((TAR_FIELDS[field]?.[1] ?? 1) - 1));
  for (const field of ["uname", "gname"]) fieldOf(block, field).fill(0);
}

function sum(block: Uint8Array): void {
  put(block, "checksum", `${tarChecksum(block).toString(8).padStart(6, "0")}\0 `);
}

const put = (block: Uint8Array, field: string, text: string): void =>
  fieldOf(block, field).set(Buffer.from(text, "latin1"));

/** A name without what is not told apart in one: `./a/` and `a`. */
const key = ({ nameBytes }: TarEntry): string =>
  Buffer.from(nameBytes)
    .toString("latin1")
    .replace(/^\.\/(?=.)|\/$/g, "");

/** As they are where the order says something: of two members of one name the last counts, a hard link comes after its file. */
function inOrder(entries: readonly TarEntry[]): readonly TarEntry[] {
  const plain = entries.every(
    ({ type, sparse, extensions }) => /^[02-57]$/.test(type) && !sparse && extensions.every((one) => one.type !== "g"),
  );
  if (!plain || new Set(entries.map(key)).size !== entries.length) return entries;
  return [...entries].sort((a, b) => byteOrder(key(a).replaceAll("/", "\0"), key(b).replaceAll("/", "\0")));
}
