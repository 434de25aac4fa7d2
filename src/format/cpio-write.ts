/** Writes cpio archives in the "newc" form, which a Linux kernel takes as its first root (Documentation/driver-api/early-userspace/buffer-format.rst). */

export interface CpioMember {
  /** Without a leading slash. */
  path: string;
  /** Type and permissions, as in st_mode. */
  mode: number;
  content: Uint8Array;
}

const HEADER = 110;
const TRAILER = "TRAILER!!!";

/** The archive, with all times 0, root as the owner, and numbers in the order of the members: the same members give the same bytes. */
export function cpioArchive(members: readonly CpioMember[]): Uint8Array {
  const parts: Buffer[] = [];
  members.forEach((member, index) => parts.push(...entry(member, index + 1)));
  parts.push(...entry({ path: TRAILER, mode: 0, content: new Uint8Array() }, 0));
  return new Uint8Array(Buffer.concat(parts));
}

function entry({ path, mode, content }: CpioMember, number: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const fields = [number, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, "0")).join("")}`);
  return [head, name, padding(HEADER + name.length), Buffer.from(content), padding(content.length)];
}

/** Names and contents are filled up to a multiple of four. */
const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
