/**
 * How files of runtimes, and of models, are told by their first bytes. Apart
 * from their parsers, so that telling them loads none.
 */

/** A Mach-O fat binary begins alike; its second word is a small count, a class's a version from 45 on. */
export function looksLikeClass(start: Uint8Array): boolean {
  return begins(start, 0xca, 0xfe, 0xba, 0xbe) && start.length >= 10 && (start[6] !== 0 || (start[7] ?? 0) >= 43);
}

/** Magic numbers of Python 3.0 to 3.14, or that of 2.7, then CR LF. */
export function looksLikePyc(start: Uint8Array): boolean {
  const magic = (start[0] ?? 0) | ((start[1] ?? 0) << 8);
  return start[2] === 0x0d && start[3] === 0x0a && ((magic >= 3000 && magic < 3650) || magic === 62_211);
}

export function looksLikeSqlite(start: Uint8Array): boolean {
  return Buffer.from(start.subarray(0, 16)).toString("latin1") === "SQLite format 3\0";
}

function begins(start: Uint8Array, ...bytes: number[]): boolean {
  return bytes.every((byte, index) => start[index] === byte);
}
