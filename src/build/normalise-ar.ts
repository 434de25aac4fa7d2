import { memorySource } from "../bytesource.ts";
import { type ArMember, arMembers, AR_MAGIC } from "../format/ar.ts";
import { counted, type Normalised, type Still } from "./normalised.ts";

/** What of a .deb is an archive by itself. */
const INNER = /^(?:control|data)\.tar(?:\.gz)?$/;

/**
 * An ar archive, static library or Debian package: no time later than the
 * source's, owned by root where it was owned by who built. The order of members
 * says something in all of them, and stays. `within` normalises what a Debian
 * package consists of; a signed one is left.
 */
export async function normalisedAr(
  bytes: Uint8Array,
  still: Still,
  within: (bytes: Uint8Array, name: string) => Promise<Normalised | undefined>,
): Promise<Normalised> {
  const members = [...arMembers(memorySource(bytes, "ar"))];
  if (members.some(({ name }) => name.startsWith("_gpg"))) return { left: "it is signed" };
  const deb = members[0]?.name === "debian-binary";
  let [times, owners] = [0, 0];
  const inner: string[] = [];
  const parts: Uint8Array[] = [Buffer.from(AR_MAGIC)];
  for (const member of members) {
    const header = bytes.slice(member.headerOffset, member.dataOffset);
    if (member.mtime > still.epoch) {
      times++;
      put(header, 16, 12, String(still.epoch));
    }
    if (isOwn(member, still)) {
      owners++;
      put(header, 28, 6, "0");
      put(header, 34, 6, "0");
    }
    let data = bytes.subarray(member.dataOffset, member.dataOffset + member.size);
    const changed = deb && INNER.test(member.name) ? await within(data, member.name) : undefined;
    if (changed !== undefined && "bytes" in changed && changed.done.length > 0) {
      data = changed.bytes;
      put(header, 48, 10, String(data.length));
      inner.push(...changed.done.map((what) => `${what} in ${member.name}`));
    }
    parts.push(header, data, Buffer.alloc(data.length % 2, "\n"));
  }
  const done = [
    ...counted(times, "member's time", "members' times"),
    ...counted(owners, "member's owner", "members' owners"),
    ...inner,
  ];
  return { bytes: done.length === 0 ? bytes : new Uint8Array(Buffer.concat(parts)), done };
}

const isOwn = ({ uid, gid }: ArMember, { user }: Still): boolean =>
  uid === user.uid && gid === user.gid && uid + gid > 0;

function put(header: Uint8Array, offset: number, width: number, text: string): void {
  header.set(Buffer.from(text.padEnd(width)), offset);
}
