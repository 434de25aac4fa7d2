import type { ByteSource } from "../bytesource.ts";
import type { Part } from "./part.ts";
import { mixedParts } from "./string-parts.ts";
import type { SymbolMap } from "./symbol-map.ts";

/** Data cut by the symbols that name it; what has none by the strings in it. */
export function* objectParts(
  source: ByteSource,
  offset: number,
  length: number,
  address: number,
  map: SymbolMap,
): Generator<Part> {
  let done = 0;
  for (let index = map.first(address); index < map.size; index++) {
    const start = map.address(index) - address;
    if (start >= length) break;
    const end = Math.min(length, start + map.sizeOf(index), map.address(index + 1) - address);
    const name = map.name(index);
    if (start < done || end <= start || name === undefined) continue;
    if (start > done) yield* mixedParts(source, offset + done, start - done);
    yield { key: `object ${name}`, kind: "bytes", offset: offset + start, length: end - start };
    done = end;
  }
  if (done < length) yield* mixedParts(source, offset + done, length - done);
}
