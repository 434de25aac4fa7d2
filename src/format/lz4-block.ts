/**
 * One block of lz4 (LZ4 Block Format), into `space` from `start` on; copies
 * may reach back to the beginning of `space`. Returns how many bytes came out,
 * at most `most`. `bad` makes the error for what is broken. With `partial` it
 * stops where `most` bytes are out, whatever follows.
 *
 *     token: literals(4 bits) copied - 4(4 bits); 15 goes on in bytes, each of 255 in another
 *     literals, offset(2, little endian), … and the last sequence ends with its literals
 */
export function lz4Block(
  data: Uint8Array,
  space: Uint8Array,
  start: number,
  most: number,
  bad: (what: string) => Error,
  partial = false,
): number {
  const end = start + most;
  let at = 0;
  let out = start;
  const long = (length: number): number => {
    let total = length;
    for (let byte = 255; byte === 255;) {
      if (at >= data.length) throw bad("cut off in a length");
      byte = data[at++] ?? 0;
      total += byte;
    }
    return total;
  };
  while (at < data.length) {
    const token = data[at++] ?? 0;
    const stated = token >> 4 === 15 ? long(15) : token >> 4;
    const literals = partial ? Math.min(stated, end - out) : stated;
    if (at + literals > data.length) throw bad("cut off in literals");
    if (out + literals > end) throw bad(`a block of more than ${most} bytes`);
    if (literals < 32) for (let i = 0; i < literals; i++) space[out++] = data[at++] ?? 0;
    else {
      space.set(data.subarray(at, at + literals), out);
      at += literals;
      out += literals;
    }
    if (at === data.length || (partial && out === end)) break;
    if (at + 2 > data.length) throw bad("cut off in an offset");
    const distance = (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8);
    at += 2;
    const long4 = ((token & 15) === 15 ? long(15) : token & 15) + 4;
    const copied = partial ? Math.min(long4, end - out) : long4;
    if (distance === 0 || distance > out) throw bad(`a copy from ${distance} bytes back, where ${out} are`);
    if (out + copied > end) throw bad(`a block of more than ${most} bytes`);
    if (distance >= copied && copied >= 32) {
      space.copyWithin(out, out - distance, out - distance + copied);
      out += copied;
    } else for (let from = out - distance, stop = out + copied; out < stop;) space[out++] = space[from++] ?? 0;
    if (partial && out === end) break;
  }
  return out - start;
}
