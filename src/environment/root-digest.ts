import { type Digest, digestOf, digestOfFile } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { byteOrder } from "../order.ts";
import { walkTree } from "../tree.ts";
import { join } from "node:path";

export interface ListedEntry {
  path: string;
  /** `d 755`, `f 644` or `l`, then what `rootDigest` hashes. */
  line: string;
  /** Whole bytes; 0 for folders. */
  size: number;
}

/**
 * One digest for a root file system: SHA-256 over a line for each entry below
 * the root, in byte order of the paths,
 *
 *     d MODE - LENGTH PATH LF
 *     f MODE SHA256-OF-CONTENT LENGTH PATH LF
 *     l - SHA256-OF-TARGET LENGTH PATH LF
 *
 * MODE is octal, without set-id bits; LENGTH is that of the path in bytes.
 * Owners and times do not count: they are fixed when a root is made. Throws
 * `input` for devices, sockets and FIFOs.
 */
export async function rootDigest(folder: string): Promise<{ digest: Digest; entries: ListedEntry[] }> {
  const entries: ListedEntry[] = [];
  for await (const { path, type, stats, target } of walkTree(folder)) {
    const mode = (stats.mode & 0o1777).toString(8);
    const end = `${Buffer.byteLength(path)} ${path}\n`;
    if (type === "directory") entries.push({ path, line: `d ${mode} - ${end}`, size: 0 });
    else if (type === "link") entries.push({ path, line: `l - ${digestOf(target ?? "").slice(7)} ${end}`, size: 0 });
    else if (type === "file") {
      const digest = await digestOfFile(join(folder, path));
      entries.push({ path, line: `f ${mode} ${digest.slice(7)} ${end}`, size: stats.size });
    } else throw new BitforbitError("input", `${path} is neither a file, a folder nor a link`);
  }
  entries.sort((a, b) => byteOrder(a.path, b.path));
  return { digest: digestOf(entries.map(({ line }) => line).join("")), entries };
}
