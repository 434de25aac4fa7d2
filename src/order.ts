/** Byte-wise order of the UTF-8 encodings: the same on every machine, whatever its locale. */
export function byteOrder(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a, "utf8"), Buffer.from(b, "utf8"));
}

/** A sorted copy, in byte order of the key. */
export function sortedBy<T>(items: Iterable<T>, key: (item: T) => string): T[] {
  return [...items].sort((a, b) => byteOrder(key(a), key(b)));
}
