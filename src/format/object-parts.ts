import type { ByteSource } from "../bytesource.ts";
import type { Part } from "./part.ts";
import { mixedParts } from "./string-parts.ts";
import type { SymbolMap } from "./symbol-map.ts";

/**
 * Data cut by the symbols that name it; what has none by the strings in it.
 * `after`: what stands before; `toNext`: a symbol without a size reaches to the next.
 */
export function* objectParts(
  source: ByteSource,
  offset: number,
  length: number,
  address: number,
  map: SymbolMap,
  options: { after?: string; toNext?: boolean; since?: number } = {},
): Generator<Part> {
  const { since } = options;
  // From the place before the one in which it stands, since places may reach over one another.
  const first = since === undefined ? 0 : Math.max(map.first(address), map.first(address + since - offset) - 2);
  let done = since === undefined || first >= map.size ? 0 : Math.max(0, map.address(first) - address);
  if (since !== undefined && offset + done > since) done = 0;
  let before = options.after;
  for (let index = done === 0 ? map.first(address) : first; index < map.size; index++) {
    const start = map.address(index) - address;
    if (start >= length) break;
    const stated = map.sizeOf(index);
    const size = stated === 0 && options.toNext === true ? Infinity : stated;
    const end = Math.min(length, start + size, map.address(index + 1) - address);
    const name = map.name(index);
    if (start < done || end <= start || name === undefined) continue;
    if (start > done) yield* mixedParts(source, offset + done, start - done, before, since);
    yield { key: `object ${name}`, kind: "bytes", offset: offset + start, length: end - start };
    done = end;
    before = `object ${name}`;
  }
  if (done < length) yield* mixedParts(source, offset + done, length - done, before, since);
}
