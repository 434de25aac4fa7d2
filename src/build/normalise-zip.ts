import { memorySource } from "../bytesource.ts";
import { readZip, toDosTime, type Zip, type ZipEntry, type ZipExtra, type ZipHeader } from "../format/zip.ts";
import { byteOrder } from "../order.ts";
import { counted, type Normalised, type Still } from "./normalised.ts";

/** Read before all others by those that read a zip from its start: OCF, "mimetype"; JAR, the manifest. */
const FIRST = /^(?:mimetype|META-INF\/|META-INF\/MANIFEST\.MF)$/;
/** JAR signatures, and Android's. */
const SIGNATURE = /^META-INF\/(?:[^/]+\.(?:SF|RSA|DSA|EC)|SIG-[^/]+)$/i;
const APK_SIGNING = "APK Sig Block 42";

/** 1601-01-01 in seconds before 1970, for NTFS's times. */
const FILETIME_ZERO = 11_644_473_600;

/**
 * A zip, jar or wheel with no time later than the source's, and members in the
 * order of their names. Members are moved as they are, with their compressed
 * bytes: nothing is unpacked or packed again. Signed and odd ones are left.
 */
export function normalisedZip(bytes: Uint8Array, still: Still): Normalised {
  const zip = readZip(memorySource(bytes, "zip"));
  const left = whyLeft(zip, bytes);
  if (left !== undefined) return { left };
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  let [times, owners] = [0, 0];
  for (const entry of zip.entries) {
    const headers = [entry, entry.local];
    times += headers.filter((header) => clampHeader(view, header, still.epoch)).length > 0 ? 1 : 0;
    owners += headers.filter((header) => disown(view, header, still)).length > 0 ? 1 : 0;
  }
  const sorted = inOrder(zip.entries);
  const done = [...counted(times, "member's time", "members' times"), ...counted(owners, "owner", "owners")];
  if (sorted.every((entry, index) => entry === zip.entries[index]) && isLaidOut(sorted)) return { bytes: copy, done };
  return { bytes: reordered(copy, zip, sorted), done: [...done, "the order of members"] };
}

function whyLeft({ entries, gaps, endSpans }: Zip, bytes: Uint8Array): string | undefined {
  if (
    entries.some(({ name }) => SIGNATURE.test(name)) ||
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(APK_SIGNING)
  )
    return "it is signed";
  if (entries.some(({ flags }) => (flags & 0x2041) !== 0)) return "it is encrypted";
  if (endSpans.some(({ field }) => field === "zip64-end")) return "it is a zip64";
  if (gaps.length > 0 || endSpans.some(({ field }) => field === "trailing"))
    return "bytes stand in it that are no member";
  return undefined;
}

/** Clamps what a header says of times; whether that changed anything. */
function clampHeader(view: DataView, header: ZipHeader, epoch: number): boolean {
  let changed = false;
  const time = header.spans.find(({ field }) => field === "time");
  if (time !== undefined && header.dosTime > Math.max(epoch, 315_532_800)) {
    const dos = toDosTime(epoch);
    view.setUint16(time.offset, dos.time, true);
    view.setUint16(time.offset + 2, dos.date, true);
    changed = true;
  }
  const clamp32 = (at: number): void => {
    if (view.getInt32(at, true) <= epoch) return;
    view.setInt32(at, epoch, true);
    changed = true;
  };
  for (const { id, offset, length, data } of header.extras) {
    // Info-ZIP's times: those that the first byte tells of; in the directory the first alone.
    if (id === 0x5455) for (let at = offset + 5; at + 4 <= offset + length; at += 4) clamp32(at);
    if (id === 0x5855 && data.length >= 8) [offset + 4, offset + 8].forEach(clamp32);
    if (id !== 0x000a || data.length < 32) continue;
    const latest = BigInt(epoch + FILETIME_ZERO) * 10_000_000n;
    for (const at of [offset + 12, offset + 20, offset + 28]) {
      if (view.getBigUint64(at, true) <= latest) continue;
      view.setBigUint64(at, latest, true);
      changed = true;
    }
  }
  return changed;
}

/** Info-ZIP's owner (0x7875: version, size, uid, size, gid), where it is who built. */
function disown(view: DataView, { extras }: ZipHeader, { user }: Still): boolean {
  return (
    extras
      .filter((extra) => extra.id === 0x7875 && isOwn(extra, user))
      .map(({ offset, data }) => {
        const [uidSize = 0, gidSize = 0] = [data[1], data[2 + (data[1] ?? 0)]];
        for (let at = 0; at < uidSize; at++) view.setUint8(offset + 6 + at, 0);
        for (let at = 0; at < gidSize; at++) view.setUint8(offset + 7 + uidSize + at, 0);
        return true;
      }).length > 0
  );
}

function isOwn({ data }: ZipExtra, user: Still["user"]): boolean {
  const uidSize = data[1] ?? 0;
  const [uid, gid] = [numberAt(data, 1), numberAt(data, 2 + uidSize)];
  return uid === user.uid && gid === user.gid && uid + gid > 0;
}

function numberAt(data: Uint8Array, at: number): number | undefined {
  const size = data[at] ?? 0;
  if (size > 6 || at + 1 + size > data.length) return undefined;
  return [...data.subarray(at + 1, at + 1 + size)].reduceRight((value, byte) => value * 256 + byte, 0);
}

const rank = ({ name }: ZipEntry): number => (FIRST.test(name) ? name.length : Number.MAX_SAFE_INTEGER);

/** As they are where two have one name: which of them counts is told by their order. */
function inOrder(entries: readonly ZipEntry[]): readonly ZipEntry[] {
  const names = new Set(entries.map(({ nameBytes }) => Buffer.from(nameBytes).toString("latin1")));
  if (names.size !== entries.length) return entries;
  return [...entries].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      byteOrder(Buffer.from(a.nameBytes).toString("latin1"), Buffer.from(b.nameBytes).toString("latin1")),
  );
}

/** Whether the members stand in the file in this order, too. */
const isLaidOut = (entries: readonly ZipEntry[]): boolean =>
  entries.every(({ local }, index) => index === 0 || local.offset > (entries[index - 1]?.local.offset ?? 0));

function reordered(bytes: Uint8Array, { entries, endSpans }: Zip, sorted: readonly ZipEntry[]): Uint8Array {
  const members = sorted.map(({ local, end }) => bytes.subarray(local.offset, end));
  let at = 0;
  const headers = sorted.map(({ offset, length }, index) => {
    const header = bytes.slice(offset, offset + length);
    new DataView(header.buffer).setUint32(42, at, true);
    at += members[index]?.length ?? 0;
    return header;
  });
  const end = Math.min(...endSpans.map(({ offset }) => offset));
  const first = Math.min(...entries.map(({ offset }) => offset), end);
  // Nothing but members stands before the directory: `whyLeft` saw to that.
  if (at !== first) return bytes;
  return new Uint8Array(Buffer.concat([...members, ...headers, bytes.subarray(end)]));
}
