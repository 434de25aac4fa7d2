import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * What stands behind the name in a directory record: SUSP 1.12 (IEEE P1281)
 * and Rock Ridge 1.12 (IEEE P1282): entries of signature(2) length(1)
 * version(1) and data. `CE` says where more of them stand.
 */
export interface Susp {
  signature: string;
  at: number;
  length: number;
  bytes: Uint8Array;
}

export interface RockRidge {
  name: string | undefined;
  mode: number | undefined;
  /** Where more entries stand. */
  more: { offset: number; length: number } | undefined;
  /** Where a folder was moved to that was too deep. */
  child: number | undefined;
  moved: boolean;
}

const SECTOR = 2048;
const MAX_CONTINUED = 16;

/** The entries in `length` bytes at `offset`; stops at what is none. */
export function suspEntries(source: ByteSource, offset: number, length: number): Susp[] {
  const found: Susp[] = [];
  if (offset < 0 || offset + length > source.size) return found;
  for (let at = offset; at + 4 <= offset + length;) {
    const head = source.read(at, 4);
    const size = head[2] ?? 0;
    const signature = String.fromCharCode(head[0] ?? 0, head[1] ?? 0);
    if (size < 4 || at + size > offset + length || !/^[A-Z]{2}$/.test(signature)) break;
    found.push({ signature, at, length: size, bytes: source.read(at, size).slice() });
    if (signature === "ST") break;
    at += size;
  }
  return found;
}

/** All entries of a record with their continuations; the areas of these, too. */
export function allEntries(
  source: ByteSource,
  offset: number,
  length: number,
): { entries: Susp[]; areas: { offset: number; length: number }[] } {
  const entries = suspEntries(source, offset, length);
  const areas: { offset: number; length: number }[] = [];
  let last = entries;
  while (areas.length < MAX_CONTINUED) {
    const more = last.find(({ signature, length: size }) => signature === "CE" && size >= 28);
    if (more === undefined) break;
    const view = new DataView(more.bytes.buffer, more.bytes.byteOffset);
    const area = {
      offset: view.getUint32(4, true) * SECTOR + view.getUint32(12, true),
      length: view.getUint32(20, true),
    };
    if (area.offset + area.length > source.size || area.length > SECTOR * 16) break;
    areas.push(area);
    last = suspEntries(source, area.offset, area.length);
    entries.push(...last);
  }
  return { entries, areas };
}

export function rockRidgeOf(entries: readonly Susp[]): RockRidge {
  const found: RockRidge = { name: undefined, mode: undefined, more: undefined, child: undefined, moved: false };
  for (const { signature, length, bytes } of entries) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (signature === "NM" && length > 5 && (view.getUint8(4) & 6) === 0) {
      found.name = (found.name ?? "") + showable(bytes.subarray(5));
    } else if (signature === "PX" && length >= 12) found.mode = view.getUint32(4, true);
    else if (signature === "CL" && length >= 8) found.child = view.getUint32(4, true);
    else if (signature === "RE") found.moved = true;
  }
  return found;
}

/** A part for each entry; `SL` is shown as the whole target. */
export function* suspParts(entries: readonly Susp[], target: string): Generator<Part> {
  for (const entry of entries) {
    const { signature, at, length } = entry;
    if (signature === "PX" && length >= 36) yield group("", at, length, () => posixParts(entry));
    else if (signature === "TF" && length >= 5) yield group("", at, length, () => timeParts(entry));
    else if (signature === "SL") yield field("link", at, length, () => target);
    else if (signature === "PN" && length >= 20) {
      const view = new DataView(entry.bytes.buffer, entry.bytes.byteOffset);
      yield field("device", at, length, () => `${view.getUint32(4, true)}:${view.getUint32(12, true)}`);
    } else if (signature === "ER" || signature === "AL") {
      yield field(signature === "ER" ? "extension" : "attribute", at, length, () => showable(entry.bytes.subarray(8)));
    } else if (["NM", "CE", "SP", "RR", "ST", "CL", "PL", "RE"].includes(signature))
      yield derived(signature, at, length);
    else yield { key: `entry ${signature}`, kind: "bytes", offset: at, length };
  }
}

function* posixParts({ at, length, bytes }: Susp): Generator<Part> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const value = (offset: number): number => view.getUint32(offset, true);
  yield derived("header", at, 4);
  yield field("mode", at + 4, 8, () => (value(4) & 0xfff).toString(8).padStart(4, "0"));
  yield derived("links", at + 12, 8);
  yield field("uid", at + 20, 8, () => String(value(20)));
  yield field("gid", at + 28, 8, () => String(value(28)));
  if (length > 36) yield derived("serial number", at + 36, length - 36);
}

const TIMES = ["crtime", "mtime", "atime", "ctime", "backup-mtime", "expiration-mtime", "effective-mtime"];

function* timeParts({ at, length, bytes }: Susp): Generator<Part> {
  yield derived("header", at, 5);
  const flags = bytes[4] ?? 0;
  const size = (flags & 0x80) === 0 ? 7 : 17;
  let offset = 5;
  for (const [bit, key] of TIMES.entries()) {
    if ((flags & (1 << bit)) === 0 || offset + size > length) continue;
    const own = bytes.subarray(offset, offset + size);
    yield field(key, at + offset, size, () => (size === 7 ? shortTime(own) : longTime(own)));
    offset += size;
  }
}

/** Seven bytes: years since 1900, month, day, hour, minute, second, quarters of an hour from GMT. */
export function shortTime(bytes: Uint8Array): string {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0] = bytes;
  if (month === 0) return "none";
  const quarters = zone > 127 ? zone - 256 : zone;
  return String(Date.UTC(year + 1900, month - 1, day, hour, minute, second) / 1000 - quarters * 900);
}

/** Sixteen digits, down to hundredths of a second, and quarters of an hour from GMT. */
export function longTime(bytes: Uint8Array): string {
  const digits = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  if (!/^\d{16}$/.test(digits)) return showable(bytes.subarray(0, 16));
  if (/^0{16}$/.test(digits)) return "none";
  const at = (from: number, to: number): number => Number(digits.slice(from, to));
  const zone = bytes[16] ?? 0;
  const quarters = zone > 127 ? zone - 256 : zone;
  const time = Date.UTC(at(0, 4), at(4, 6) - 1, at(6, 8), at(8, 10), at(10, 12), at(12, 14)) / 1000 - quarters * 900;
  return at(14, 16) === 0 ? String(time) : `${time}.${digits.slice(14)}`;
}

/** The target that `SL` entries spell, component by component. */
export function linkTarget(entries: readonly Susp[]): string {
  const parts: string[] = [];
  let open = false;
  for (const { signature, bytes } of entries) {
    if (signature !== "SL") continue;
    for (let at = 5; at + 2 <= bytes.length;) {
      const [flags = 0, length = 0] = bytes.subarray(at, at + 2);
      const text = showable(bytes.subarray(at + 2, at + 2 + length));
      const step = (flags & 8) !== 0 ? "" : (flags & 4) !== 0 ? ".." : (flags & 2) !== 0 ? "." : text;
      if (open) parts[parts.length - 1] += step;
      else parts.push(step);
      open = (flags & 1) !== 0;
      at += 2 + length;
    }
  }
  return parts.length === 1 && parts[0] === "" ? "/" : parts.join("/");
}
