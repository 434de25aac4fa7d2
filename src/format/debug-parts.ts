import type { ByteSource } from "../bytesource.ts";
import { dwarfLineParts } from "./dwarf-line.ts";
import type { Part } from "./part.ts";
import { stringParts } from "./string-parts.ts";

/** Sections of debug data that were compressed, decoded, and told by their names; what they refer to is out of reach. */
export function debugStringParts(source: ByteSource): Iterable<Part> {
  return stringParts(source, 0, source.size);
}

export function debugLineParts(source: ByteSource): Iterable<Part> {
  // No byte order is known here: the version, of 2 to 5, tells it.
  const little = source.size < 6 || (source.read(4, 2)[0] ?? 0) !== 0;
  return dwarfLineParts(source, 0, source.size, little, () => undefined);
}
