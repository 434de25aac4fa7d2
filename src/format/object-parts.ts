import type { ByteSource } from "../bytesource.ts";
import type { Part } from "./part.ts";
import { mixedParts } from "./string-parts.ts";
import type { SymbolMap } from "./symbol-map.ts";

/** Smaller ones are cut whole. */
const LARGE = 1 << 20;

/**
 * Data cut by the symbols that name it; what has none by the strings in it.
 * `after`: what stands before; `from`: see `Part.parts`; `toNext`: a symbol without a size reaches to the next.
 */
export function* objectParts(
  source: ByteSource,
  offset: number,
  length: number,
  address: number,
  map: SymbolMap,
  options: { after?: string; toNext?: boolean; from?: number | undefined } = {},
): Generator<Part> {
  const { from } = length < LARGE ? {} : options;
  const first = map.first(address);
  let before = options.after;
  let index = from === undefined ? first : Math.max(first, map.reaching(address + from - offset));
  let done = index > first ? map.address(index) - address : 0;
  for (; index < map.size; index++) {
    const start = map.address(index) - address;
    if (start >= length) break;
    const stated = map.sizeOf(index);
    const size = stated === 0 && options.toNext === true ? Infinity : stated;
    const end = Math.min(length, start + size, map.address(index + 1) - address);
    const name = map.name(index);
    if (start < done || end <= start || name === undefined) continue;
    if (start > done) yield* mixedParts(source, offset + done, start - done, before, from);
    yield { key: `object ${name}`, kind: "bytes", offset: offset + start, length: end - start };
    done = end;
    before = `object ${name}`;
  }
  if (done < length) yield* mixedParts(source, offset + done, length - done, before, from);
}
