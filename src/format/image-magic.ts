import type { ByteSource } from "../bytesource.ts";

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

/** Its first descriptor stands 32 KiB behind the beginning. */
export function looksLikeIso(_start: Uint8Array, _name: string, source: ByteSource): boolean {
  return source.size >= 34 << 10 && begins(source.read(32 << 10, 6), "CD001", 1);
}

/** An MBR with partitions that there can be: a boot sector of a file system ends with 55 aa, too. */
export function looksLikeDisk(start: Uint8Array): boolean {
  if (start.length < 512 || start[510] !== 0x55 || start[511] !== 0xaa) return false;
  let used = 0;
  for (let at = 446; at < 510; at += 16) {
    const status = start[at] ?? 1;
    if (status !== 0 && status !== 0x80) return false;
    if (start[at + 4] !== 0 && start.subarray(at + 12, at + 16).some((byte) => byte !== 0)) used++;
  }
  return used > 0;
}

/** A jump, sizes that there can be, and a media byte. */
export function looksLikeFat(start: Uint8Array): boolean {
  if (start.length < 512 || start[510] !== 0x55 || start[511] !== 0xaa) return false;
  if (start[0] !== 0xe9 && (start[0] !== 0xeb || start[2] !== 0x90)) return false;
  const sector = (start[11] ?? 0) | ((start[12] ?? 0) << 8);
  const cluster = start[13] ?? 0;
  const sizes = [128, 256, 512, 1024, 2048, 4096].includes(sector) && cluster > 0 && (cluster & (cluster - 1)) === 0;
  return sizes && [1, 2].includes(start[16] ?? 0) && (start[21] ?? 0) >= 0xf0;
}

const IMAGE_MEMBER = /^(?:\.\/)?(?:blobs\/|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64})/;

/** A tar whose first member could be one of a container image; the parser reads the rest. */
export function looksLikeImageTar(start: Uint8Array): boolean {
  return begins(start, "ustar", 257) && IMAGE_MEMBER.test(String.fromCharCode(...start.subarray(0, 100)));
}

export function looksLikeDeviceTree(start: Uint8Array): boolean {
  return begins(start, "\u00d0\u000d\u00fe\u00ed");
}

/** U-Boot's legacy images. */
export function looksLikeUimage(start: Uint8Array): boolean {
  return begins(start, "\u0027\u0005\u0019\u0056");
}

export function looksLikeErofs(start: Uint8Array): boolean {
  return begins(start, "\u00e2\u00e1\u00f5\u00e0", 1024);
}

/** Either byte order, and behind 512 bytes of boot code. */
export function looksLikeCramfs(start: Uint8Array): boolean {
  const magics = ["\u0045\u003d\u00cd\u0028", "\u0028\u00cd\u003d\u0045"];
  return [0, 512].some(
    (at) => begins(start, "Compressed ROMFS", at + 16) && magics.some((magic) => begins(start, magic, at)),
  );
}

export function looksLikeRomfs(start: Uint8Array): boolean {
  return begins(start, "-rom1fs-");
}

export function looksLikeQcow2(start: Uint8Array): boolean {
  return begins(start, "QFI\u00fb\0\0\0") && (start[7] === 2 || start[7] === 3);
}
