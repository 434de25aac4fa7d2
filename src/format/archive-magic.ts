/** The first bytes of packages and archives: a file that costs nothing to load, for the registry. */

export function looksLikeBzip2(start: Uint8Array): boolean {
  if (start[0] !== 0x42 || start[1] !== 0x5a || start[2] !== 0x68) return false;
  const [level, first] = [start[3] ?? 0, start[4]];
  return level >= 0x31 && level <= 0x39 && (first === 0x31 || first === 0x17);
}

export function looksLikeLz4(start: Uint8Array): boolean {
  if (start.length < 7) return false;
  const magic = new DataView(start.buffer, start.byteOffset).getUint32(0, true);
  return magic === 0x184d2204 || magic === 0x184c2102;
}
