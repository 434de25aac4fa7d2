/** The first bytes of file systems and images: a file that costs nothing to load, for the registry. */

function begins(start: Uint8Array, text: string, at = 0): boolean {
  for (let index = 0; index < text.length; index++) {
    if (start[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** Either byte order: before version 4 there were both. */
export function looksLikeSquashfs(start: Uint8Array): boolean {
  return begins(start, "hsqs") || begins(start, "sqsh");
}

/** The decompressed tables of a squashfs image, as squashfs-metadata.ts lays them out. */
export function looksLikeTables(start: Uint8Array): boolean {
  return begins(start, "squashfs tables\0");
}

/** The decompressed fragments of a squashfs image, as squashfs-tails.ts lays them out. */
export function looksLikeTails(start: Uint8Array): boolean {
  return begins(start, "squashfs tails\0\0");
}

/** ext2, ext3 and ext4: the magic number, and a block size and a state that there are. */
export function looksLikeExt4(start: Uint8Array): boolean {
  return start[1080] === 0x53 && start[1081] === 0xef && (start[1048] ?? 255) <= 6 && start[1049] === 0;
}
