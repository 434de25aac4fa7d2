import { crc32 } from "node:zlib";
import { deflateRaw } from "pako";
import { BitforbitError } from "../errors.ts";
import { toDosTime } from "./zip.ts";

/** A member to write. */
export interface ZipMember {
  /** With `/` between names; folders end in one. Written as UTF-8. */
  name: string;
  content: Uint8Array;
  /** Seconds since the epoch, written as UTC; before 1980 the first moment a zip can hold. */
  mtime?: number;
  /** Unix mode with its file type; 0100644 by default, 040755 for folders. */
  mode?: number;
  /** Stored as it is; deflated by default, unless that makes it larger. */
  stored?: boolean;
  comment?: string;
}

const MAX_32 = 0xffff_ffff;
const VERSION = 20;
const UNIX = 3;

/**
 * A zip as chunks, members in the order given: the same bytes on every
 * machine, since the compressor is pako, times are UTC and there are no extra
 * fields. Throws `limit` for what needs zip64: over 65,534 members, or 4 GiB.
 */
export function* zipChunks(
  members: Iterable<ZipMember>,
  options: { level?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9; comment?: string } = {},
): Generator<Uint8Array> {
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const member of members) {
    const written = prepared(member, options.level ?? 9);
    const local = localHeader(written);
    directory.push(centralHeader(written, offset));
    offset += local.length + written.data.length;
    if (offset > MAX_32) throw new BitforbitError("limit", "a zip of over 4 GiB is not written");
    if (directory.length >= 0xffff) throw new BitforbitError("limit", "a zip of over 65,534 members is not written");
    yield local;
    yield written.data;
  }
  yield* directory;
  const size = directory.reduce((sum, header) => sum + header.length, 0);
  const comment = Buffer.from(options.comment ?? "");
  if (comment.length > 0xffff) throw new BitforbitError("limit", "a zip comment of over 65,535 bytes");
  yield record(0x06054b50, [
    [2, 0],
    [2, 0],
    [2, directory.length],
    [2, directory.length],
    [4, size],
    [4, offset],
    [2, comment.length],
  ]);
  yield comment;
}

/** Like `zipChunks`, in one piece. */
export function zipBytes(members: Iterable<ZipMember>, options: Parameters<typeof zipChunks>[1] = {}): Uint8Array {
  return new Uint8Array(Buffer.concat([...zipChunks(members, options)]));
}

interface Prepared {
  name: Uint8Array;
  comment: Uint8Array;
  data: Uint8Array;
  mode: number;
  /** The fields that both headers hold: flags, method, time, date, CRC, sizes. */
  shared: [number, number][];
}

function prepared(member: ZipMember, level: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9): Prepared {
  const { content } = member;
  const name = Buffer.from(member.name, "utf8");
  const comment = Buffer.from(member.comment ?? "", "utf8");
  if (name.length === 0 || name.length > 0xffff || comment.length > 0xffff) {
    throw new BitforbitError("usage", `a zip cannot hold the name ${JSON.stringify(member.name.slice(0, 80))}`);
  }
  if (content.length > MAX_32) throw new BitforbitError("limit", `${member.name}: over 4 GiB`);
  const deflated = member.stored === true ? undefined : deflateRaw(content, { level, legacyHash: true });
  const smaller = deflated !== undefined && deflated.length < content.length;
  const data = smaller ? deflated : content;
  const { date, time } = toDosTime(member.mtime ?? 0);
  const utf8 = name.some((byte) => byte >= 0x80) || comment.some((byte) => byte >= 0x80);
  return {
    name,
    comment,
    data,
    mode: member.mode ?? (member.name.endsWith("/") ? 0o40755 : 0o100644),
    shared: [
      [2, utf8 ? 0x800 : 0],
      [2, smaller ? 8 : 0],
      [2, time],
      [2, date],
      [4, crc32(content)],
      [4, data.length],
      [4, content.length],
      [2, name.length],
      [2, 0],
    ],
  };
}

function localHeader(member: Prepared): Uint8Array {
  return Buffer.concat([record(0x04034b50, [[2, VERSION], ...member.shared]), member.name]);
}

function centralHeader(member: Prepared, offset: number): Uint8Array {
  const header = record(0x02014b50, [
    [2, (UNIX << 8) | VERSION],
    [2, VERSION],
    ...member.shared,
    [2, member.comment.length],
    [2, 0],
    [2, 0],
    [4, (member.mode << 16) >>> 0],
    [4, offset],
  ]);
  return Buffer.concat([header, member.name, member.comment]);
}

/** A signature and little-endian fields of 2 or 4 bytes. */
function record(signature: number, fields: readonly (readonly [number, number])[]): Uint8Array {
  const length = fields.reduce((sum, [width]) => sum + width, 4);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return bytes;
}
