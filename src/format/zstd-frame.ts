/**
 * How long the zstd frame is with which `bytes` begin (RFC 8878, section 3.1.1);
 * undefined where they are none, or do not hold all of it.
 *
 *     magic(4) descriptor(1) [window(1)] [dictionary] [content size] (header(3) block)… [checksum(4)]
 */
export function zstdFrameLength(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) return undefined;
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const checksum = (descriptor & 4) !== 0 ? 4 : 0;
  for (let at = 5 + (single ? 0 : 1) + dictionary + contentSize; at + 3 <= bytes.length;) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    // A block of one byte, repeated, holds it once.
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
    if ((header & 1) === 1) return at + checksum <= bytes.length ? at + checksum : undefined;
  }
  return undefined;
}
