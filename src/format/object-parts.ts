import type { ByteSource } from "../bytesource.ts";
import { apart, type Needed, type Part } from "./part.ts";
import { mixedParts } from "./string-parts.ts";
import type { SymbolMap } from "./symbol-map.ts";

/** Smaller ones are cut whole, whatever is needed of them. */
const LARGE = 1 << 20;

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
  options: { after?: string; toNext?: boolean; needed?: Needed | undefined } = {},
): Generator<Part> {
  const { needed } = length < LARGE ? {} : options;
  const first = map.first(address);
  let before = options.after;
  let index = needed === undefined ? first : Math.max(first, map.reaching(address + needed.from - offset));
  let done = index > first ? map.address(index) - address : 0;
  if (done > 0) yield apart(offset, done);
  for (; index < map.size; index++) {
    const start = map.address(index) - address;
    if (start >= length) break;
    if (needed !== undefined && start >= done && offset + start > needed.to) {
      if (start > done) yield* mixedParts(source, offset + done, start - done, before, needed);
      return void (yield apart(offset + start, length - start));
    }
    const stated = map.sizeOf(index);
    const size = stated === 0 && options.toNext === true ? Infinity : stated;
    const end = Math.min(length, start + size, map.address(index + 1) - address);
    const name = map.name(index);
    if (start < done || end <= start || name === undefined) continue;
    if (start > done) yield* mixedParts(source, offset + done, start - done, before, needed);
    yield { key: `object ${name}`, kind: "bytes", offset: offset + start, length: end - start };
    done = end;
    before = `object ${name}`;
  }
  if (done < length) yield* mixedParts(source, offset + done, length - done, before, needed);
}
