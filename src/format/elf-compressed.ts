import { partOf } from "../bytesource.ts";
import { unzstd } from "./zstd.ts";
import { inflateAt } from "./deflate.ts";
import { type Elf, type ElfSection, SHF, storedSize } from "./elf.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, field, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Compressed sections (gABI, chapter 4, "Section Compression"), debug data mostly:
 *
 *     64 bits: type(4) reserved(4) size(8) alignment(8)   32 bits: type(4) size(4) alignment(4)
 *     then zlib (type 1) or zstd (type 2)
 *
 * and GNU's older form, sections named .zdebug: "ZLIB" size(8, big-endian), zlib.
 */
export function isCompressed(section: ElfSection): boolean {
  return (section.flags & SHF.COMPRESSED) !== 0 || section.name.startsWith(".zdebug");
}

export function* compressedParts(elf: Elf, section: ElfSection): Generator<Part> {
  const { offset, name } = section;
  const length = storedSize(elf, section);
  const older = (section.flags & SHF.COMPRESSED) === 0;
  const header = older || elf.bits === 32 ? 12 : 24;
  if (length < header + 2) return;
  const words = new Words(elf.source.read(offset, header), elf.little, `${elf.source.name}: ${name}`);
  const type = older ? 1 : words.u32(0);
  yield field("compression", offset, 4, () => (type === 1 ? "zlib" : type === 2 ? "zstd" : String(type)));
  if (older) yield derived("size", offset + 4, 8);
  else if (elf.bits === 32) {
    yield derived("size", offset + 4, 4);
    yield field("alignment", offset + 8, 4, () => String(words.u32(8)));
  } else {
    yield derived("size", offset + 8, 8);
    yield field("alignment", offset + 16, 8, () => String(words.u64(16)));
  }
  const at = offset + header;
  const content: Part = {
    key: "",
    kind: "content",
    offset: at,
    length: length - header,
    name: name.replace(".z", "."),
  };
  if (type === 1)
    content.decode = { name: "zlib", run: (sink, limits) => unzlib(elf, at, length - header, sink, limits) };
  if (type === 2) {
    content.decode = {
      name: "zstd",
      run: (sink, limits) => unzstd(partOf(elf.source, at, length - header), sink, limits),
    };
  }
  yield content;
}

/** A zlib stream (RFC 1950) is two bytes, deflate, and a checksum. */
async function unzlib(elf: Elf, at: number, length: number, sink: Sink, limits: InflationLimits): Promise<void> {
  const deflated = partOf(elf.source, at + 2, length - 2);
  await inflateAt(deflated, 0, sink, new InflationGuard(elf.source.name, length, limits));
}
