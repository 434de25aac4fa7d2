import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";

/**
 * Reads ar(5) in its common form, which deb(5) uses:
 *
 *     !<arch>\n
 *     name(16) mtime(12) uid(6) gid(6) mode(8, octal) size(10) `\n   data   [\n to an even offset]
 *
 * GNU's and BSD's tables of long names are members like any other here.
 */
export const AR_MAGIC = "!<arch>\n";
/** GNU's thin archive: the members' data stays in files of their own, only the tables are inside. */
export const THIN_MAGIC = "!<thin>\n";

const HEADER = 60;

export interface ArLimits {
  maxMembers: number;
  /** Accept a thin archive, whose members have a size but no data here. */
  thin?: boolean;
}

export const AR_LIMITS: ArLimits = { maxMembers: 100_000 };

export interface ArMember {
  /** Without the blanks that fill it up, and without the slash that GNU ar puts at the end. */
  name: string;
  /** Seconds since the epoch. */
  mtime: number;
  uid: number;
  gid: number;
  mode: number;
  headerOffset: number;
  dataOffset: number;
  size: number;
}

/**
 * The members in order; memory does not grow with the archive. Throws `input`
 * with the offset for what is not ar or is cut off, `limit` for too many members.
 */
export function* arMembers(source: ByteSource, limits: ArLimits = AR_LIMITS): Generator<ArMember> {
  const magic = source.size < AR_MAGIC.length ? "" : showable(source.read(0, AR_MAGIC.length));
  const thin = limits.thin === true && magic === THIN_MAGIC;
  if (magic !== AR_MAGIC && !thin) throw bad(source, 0, "no ar archive");
  let members = 0;
  for (let at = AR_MAGIC.length; at < source.size;) {
    if (++members > limits.maxMembers) {
      throw new BitforbitError("limit", `${source.name}: more than ${limits.maxMembers} members (maxMembers)`);
    }
    const member = memberAt(source, at, thin);
    yield member;
    // The filling byte after the last member may be missing, as binutils allows.
    at = member.dataOffset + member.size + (member.size % 2);
  }
}

function memberAt(source: ByteSource, offset: number, thin: boolean): ArMember {
  if (offset + HEADER > source.size) throw bad(source, offset, "cut off in a header");
  const header = Buffer.from(source.read(offset, HEADER)).toString("latin1");
  if (header.slice(58) !== "`\n") throw bad(source, offset + 58, "a header that does not end as it should");
  const number = (from: number, to: number, radix: 8 | 10, what: string): number => {
    const text = header.slice(from, to).trim();
    // Microsoft's librarian writes -1 for a time that it does not tell.
    if (!(radix === 8 ? /^[0-7]*$/ : what === "size" ? /^[0-9]*$/ : /^(?:-?[0-9]+)?$/).test(text)) {
      throw bad(source, offset + from, `${what} is no number: ${JSON.stringify(text)}`);
    }
    return text === "" ? 0 : Number.parseInt(text, radix);
  };
  const table = /^\/(?:\/|SYM64\/)? /.test(header);
  const size = thin && !table ? 0 : number(48, 58, 10, "size");
  const dataOffset = offset + HEADER;
  if (dataOffset + size > source.size) {
    throw bad(source, offset, `a member of ${size} bytes, but the archive ends at ${source.size}`);
  }
  return {
    name: header
      .slice(0, 16)
      .replace(/ +$/, "")
      .replace(/^(.+[^/])\/$/, "$1"),
    mtime: number(16, 28, 10, "mtime"),
    uid: number(28, 34, 10, "uid"),
    gid: number(34, 40, 10, "gid"),
    mode: number(40, 48, 8, "mode"),
    headerOffset: offset,
    dataOffset,
    size,
  };
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: ar, offset ${offset}: ${what}`);
}
