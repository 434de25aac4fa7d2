import { showable } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { arMembers } from "./ar.ts";
import type { Compression } from "./magic.ts";

/**
 * Reads deb(5), format 2.0: an ar archive of `debian-binary`, a control.tar and
 * a data.tar, in this order; members whose name begins with `_` may stand
 * before data.tar, and anything may follow it. The tars are plain or compressed
 * with gzip, xz or zstd, told by their names (bzip2 and lzma, which dpkg wrote
 * long ago, are not read).
 */
export interface DebPart {
  /** "data.tar.xz". */
  name: string;
  compression: Compression | undefined;
  /** As it is stored. */
  source: ByteSource;
}

export interface Deb {
  control: DebPart;
  data: DebPart;
}

const SUFFIXES: Readonly<Record<string, Compression | undefined>> = {
  "": undefined,
  ".gz": "gzip",
  ".xz": "xz",
  ".zst": "zstd",
};

/** The two parts of a .deb. Throws `input` for what is not one. */
export function readDeb(source: ByteSource): Deb {
  let control: DebPart | undefined;
  let first = true;
  for (const member of arMembers(source, { maxMembers: 64 })) {
    const content = partOf(source, member.dataOffset, member.size, `${source.name}: ${member.name}`);
    if (first) {
      first = false;
      checkVersion(source, member.name, content);
    } else if (control === undefined) {
      control = partNamed(source, "control.tar", member.name, content);
      if (control === undefined) throw bad(source, `${JSON.stringify(member.name)} stands where control.tar should`);
    } else {
      const data = partNamed(source, "data.tar", member.name, content);
      if (data !== undefined) return { control, data };
      if (!member.name.startsWith("_")) {
        throw bad(source, `${JSON.stringify(member.name)} stands where data.tar should`);
      }
    }
  }
  throw bad(source, "ends before its data.tar");
}

function checkVersion(source: ByteSource, name: string, content: ByteSource): void {
  const version = name === "debian-binary" ? showable(content.read(0, Math.min(content.size, 16))) : "";
  if (!/^2\.[0-9]+\n/.test(version)) {
    throw bad(source, `does not begin with debian-binary of version 2, but ${JSON.stringify(name)} ${version.trim()}`);
  }
}

function partNamed(source: ByteSource, stem: string, name: string, content: ByteSource): DebPart | undefined {
  if (!name.startsWith(stem)) return undefined;
  const suffix = name.slice(stem.length);
  if (!Object.hasOwn(SUFFIXES, suffix)) {
    throw bad(source, `${JSON.stringify(name)} is compressed in a way that is not read`);
  }
  return { name, compression: SUFFIXES[suffix], source: content };
}

function bad(source: ByteSource, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: deb: ${what}`, {
    hint: "a Debian binary package is an ar archive of debian-binary, control.tar and data.tar",
  });
}
