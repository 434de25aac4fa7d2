/**
 * How files of runtimes, and of models, are told by their first bytes. Apart
 * from their parsers, so that telling them loads none.
 */

/** A Mach-O fat binary begins alike; its second word is a small count, a class's a version from 45 on. */
export function looksLikeClass(start: Uint8Array): boolean {
  return begins(start, 0xca, 0xfe, 0xba, 0xbe) && start.length >= 10 && (start[6] !== 0 || (start[7] ?? 0) >= 43);
}

/** "dex\n", three digits of a version, and a zero. */
export function looksLikeDex(start: Uint8Array): boolean {
  return /^dex\n\d\d\d\0/.test(latin(start.subarray(0, 8)));
}

/** Magic numbers of Python 3.0 to 3.14, or that of 2.7, then CR LF. */
export function looksLikePyc(start: Uint8Array): boolean {
  const magic = (start[0] ?? 0) | ((start[1] ?? 0) << 8);
  return start[2] === 0x0d && start[3] === 0x0a && ((magic >= 3000 && magic < 3650) || magic === 62_211);
}

export function looksLikeSqlite(start: Uint8Array): boolean {
  return latin(start.subarray(0, 16)) === "SQLite format 3\0";
}

export function looksLikeNpy(start: Uint8Array): boolean {
  return begins(start, 0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59);
}

/** "GGUF"; versions above 255 would be those of big-endian files. */
export function looksLikeGguf(start: Uint8Array): boolean {
  return begins(start, 0x47, 0x47, 0x55, 0x46) && start[5] === 0 && start[6] === 0;
}

/** A length of less than 2^40, then the JSON of that length. */
export function looksLikeSafetensors(start: Uint8Array): boolean {
  return (
    start.length > 8 && start[5] === 0 && start[6] === 0 && start[7] === 0 && start[8] === 0x7b && start[9] === 0x22
  );
}

/** Protocol Buffers have no magic number: told by its file name, or by a version and a producer's name in front. */
export function looksLikeOnnx(start: Uint8Array, name: string): boolean {
  if (start[0] !== 0x08 || (start[1] ?? 0) > 32) return false;
  return (
    name.endsWith(".onnx") ||
    (start[2] === 0x12 && /^(?:pytorch|tf2onnx|skl2onnx|onnx)/.test(latin(start.subarray(4, 16))))
  );
}

function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function begins(start: Uint8Array, ...bytes: number[]): boolean {
  return bytes.every((byte, index) => start[index] === byte);
}
