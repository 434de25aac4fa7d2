import { BitforbitError } from "../errors.ts";
import { BLOCK, padded, TAR_FIELDS, tarChecksum } from "./tar-header.ts";

/** A member to write. Nothing is taken from the machine: what is not given is zero or empty. */
export interface TarMember {
  /** With `/` between names; folders get a final one. Text is written as UTF-8. */
  name: string | Uint8Array;
  /** A typeflag: "0" a file, "1" a hard link, "2" a link, "5" a folder. */
  type?: "0" | "1" | "2" | "5";
  /** Permission bits; 0644 for files, 0755 for folders, 0777 for links by default. */
  mode?: number;
  uid?: number;
  gid?: number;
  uname?: string;
  gname?: string;
  /** Seconds since the epoch; a fraction or a time before 1970 goes into a PAX record. */
  mtime?: number;
  /** Bytes of content that follow the header. */
  size?: number;
  linkName?: string | Uint8Array;
}

/** Two blocks of zeros end an archive. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

const MODES: Readonly<Record<string, number>> = { "0": 0o644, "1": 0o644, "2": 0o777, "5": 0o755 };

/**
 * The header blocks of a member (ustar, with a PAX header before it for what
 * ustar cannot hold): the same bytes for the same member, on every machine.
 * `tarPadding(size)` zeros follow the content. Throws `usage` for what no tar
 * can hold.
 */
export function tarHeader(member: TarMember): Uint8Array {
  const type = member.type ?? "0";
  const name = bytesOf(member.name);
  const link = bytesOf(member.linkName ?? "");
  const size = type === "0" ? (member.size ?? 0) : 0;
  const mtime = member.mtime ?? 0;
  const whole = Math.floor(mtime);
  if (name.length === 0) throw new BitforbitError("usage", "a tar member needs a name");
  if (!Number.isSafeInteger(size) || size < 0) throw new BitforbitError("usage", `a tar member of ${size} bytes`);
  if (!Number.isFinite(mtime)) throw new BitforbitError("usage", `a tar member's time of ${mtime}`);
  const records: [string, Uint8Array][] = [];
  const overflow = (key: string, value: Uint8Array | string): void => void records.push([key, bytesOf(value)]);
  const split = splitName(name);
  if (split === undefined) overflow("path", name);
  if (link.length > 100 || !isAscii(link)) overflow("linkpath", link);
  if (whole !== mtime || whole < 0 || whole >= 8 ** 11) overflow("mtime", decimal(mtime));
  if (size >= 8 ** 11) overflow("size", String(size));
  const fields = { uid: member.uid ?? 0, gid: member.gid ?? 0 };
  for (const [key, value] of Object.entries(fields)) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new BitforbitError("usage", `a tar member's ${key} of ${value}`);
    if (value >= 8 ** 7) overflow(key, String(value));
  }
  for (const key of ["uname", "gname"] as const) {
    const value = bytesOf(member[key] ?? "");
    if (value.length > 31 || !isAscii(value)) overflow(key, value);
  }
  const block = headerBlock({
    ...(split ?? { prefix: new Uint8Array(0), name: name.subarray(0, 100) }),
    type,
    mode: member.mode ?? MODES[type] ?? 0o644,
    uid: fields.uid < 8 ** 7 ? fields.uid : 0,
    gid: fields.gid < 8 ** 7 ? fields.gid : 0,
    size: size < 8 ** 11 ? size : 0,
    mtime: whole >= 0 && whole < 8 ** 11 ? whole : 0,
    link: link.subarray(0, 100),
    uname: bytesOf(member.uname ?? "").subarray(0, 31),
    gname: bytesOf(member.gname ?? "").subarray(0, 31),
  });
  return records.length === 0 ? block : new Uint8Array(Buffer.concat([paxHeader(records), block]));
}

/** Bytes of zeros after a content of `size` bytes. */
export function tarPadding(size: number): number {
  return padded(size) - size;
}

/** A whole archive as chunks, members in the order given. Throws `usage` as `tarHeader`. */
export function* tarChunks(members: Iterable<TarMember & { content?: Uint8Array }>): Generator<Uint8Array> {
  for (const { content, ...member } of members) {
    const size = content?.length ?? 0;
    yield tarHeader({ ...member, size });
    if (content === undefined || size === 0 || (member.type ?? "0") !== "0") continue;
    yield content;
    yield new Uint8Array(tarPadding(size));
  }
  yield TAR_END;
}

/** Like `tarChunks`, in one piece. */
export function tarBytes(members: Iterable<TarMember & { content?: Uint8Array }>): Uint8Array {
  return new Uint8Array(Buffer.concat([...tarChunks(members)]));
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? Buffer.from(text, "utf8") : text;
}

function isAscii(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte > 0 && byte < 0x80);
}

/** Exactly the number, without an exponent: a PAX time is a decimal. */
function decimal(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : value.toFixed(9).replace(/0+$/, "");
}

/** A name in ustar's two fields, 155 and 100 bytes; undefined when it does not fit. */
function splitName(name: Uint8Array): { prefix: Uint8Array; name: Uint8Array } | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= 100) return { prefix: new Uint8Array(0), name };
  // The last slash that leaves a name after it: a folder's own final slash does not.
  for (let at = Math.min(155, name.length - 2); at > 0; at--) {
    if (name[at] !== 0x2f) continue;
    if (name.length - at - 1 > 100) return undefined;
    return { prefix: name.subarray(0, at), name: name.subarray(at + 1) };
  }
  return undefined;
}

function paxHeader(records: readonly [string, Uint8Array][]): Uint8Array {
  const data = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  const header = headerBlock({
    prefix: new Uint8Array(0),
    name: bytesOf("PaxHeader"),
    type: "x",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: data.length,
    mtime: 0,
    link: new Uint8Array(0),
    uname: new Uint8Array(0),
    gname: new Uint8Array(0),
  });
  return Buffer.concat([header, data, new Uint8Array(tarPadding(data.length))]);
}

/** `length SP key=value LF`, where the length counts its own digits. */
export function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

interface HeaderFields {
  prefix: Uint8Array;
  name: Uint8Array;
  type: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  link: Uint8Array;
  uname: Uint8Array;
  gname: Uint8Array;
}

function headerBlock(fields: HeaderFields): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (field: string, value: Uint8Array): void => block.set(value, TAR_FIELDS[field]?.[0] ?? 0);
  const octal = (field: string, value: number): void => {
    const digits = (TAR_FIELDS[field]?.[1] ?? 1) - 1;
    put(field, Buffer.from(value.toString(8).padStart(digits, "0")));
  };
  put("name", fields.name);
  octal("mode", fields.mode & 0o7777);
  octal("uid", fields.uid);
  octal("gid", fields.gid);
  octal("size", fields.size);
  octal("mtime", fields.mtime);
  put("type", Buffer.from(fields.type));
  put("linkname", fields.link);
  put("magic", Buffer.from("ustar\x0000", "latin1"));
  put("uname", fields.uname);
  put("gname", fields.gname);
  octal("devmajor", 0);
  octal("devminor", 0);
  put("prefix", fields.prefix);
  put("checksum", Buffer.from(`${tarChecksum(block).toString(8).padStart(6, "0")}\0 `));
  return block;
}
