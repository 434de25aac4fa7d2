import { memorySource } from "../bytesource.ts";
import { type PaxRecord, tarEntries, type TarEntry } from "../format/tar.ts";
import { BLOCK, cString, fieldOf, octal, TAR_FIELDS, tarChecksum } from "../format/tar-header.ts";
import { byteOrder } from "../order.ts";
import { counted, type Normalised, type Still } from "./normalised.ts";

/**
 * A tar with no time later than the source's, owned by root where it was owned
 * by who built, its members in the order of their names. Headers are changed in
 * their place; modes, attributes and contents are what they were.
 */
export function normalisedTar(bytes: Uint8Array, still: Still): Normalised {
  const copy = bytes.slice();
  const entries = [...tarEntries(memorySource(bytes, "tar"))];
  const own = isOwn(entries, still);
  let [times, names] = [0, 0];
  for (const entry of entries) {
    const blocks = [...entry.extensions, entry].map(({ headerOffset }) =>
      copy.subarray(headerOffset, headerOffset + BLOCK),
    );
    const clamped = blocks.map((block) => clampBlock(block, still.epoch));
    const records = [...entry.pax.values()].map((record) => clampRecord(copy, record, still.epoch));
    if ([...clamped, ...records].includes(true)) times++;
    for (const [index, block] of blocks.entries()) {
      const renamed = index < entry.extensions.length && withoutPid(block);
      if (renamed) names++;
      if (own) disown(block);
      if (clamped[index] === true || own || renamed) sum(block);
    }
  }
  const done = [
    ...counted(times, "member's time", "members' times"),
    ...(own ? ["the owner"] : []),
    ...counted(names, "number of a process", "numbers of processes"),
  ];
  const sorted = inOrder(entries);
  if (sorted.every((entry, index) => entry === entries[index])) return { bytes: copy, done };
  const last = Math.max(...entries.map(({ end }) => end));
  const parts = sorted.map(({ start, end }) => copy.subarray(start, end));
  return {
    bytes: new Uint8Array(Buffer.concat([...parts, copy.subarray(last)])),
    done: [...done, "the order of members"],
  };
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

/** A time of PAX becomes another of as many digits: the archive is no longer and no shorter. */
function clampRecord(bytes: Uint8Array, { key, value, offset, length }: PaxRecord, epoch: number): boolean {
  const text = Buffer.from(value).toString("latin1");
  if (!/^(?:mtime|atime|ctime)$/.test(key) || !/^\d+(?:\.\d*)?$/.test(text) || Number(text) <= epoch) return false;
  const [whole = "", fraction] = text.split(".");
  const clamped =
    String(epoch).padStart(whole.length, "0") + (fraction === undefined ? "" : `.${"0".repeat(fraction.length)}`);
  bytes.set(Buffer.from(clamped), offset + length - 1 - text.length);
  return true;
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
