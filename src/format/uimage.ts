import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { hex } from "../bytes.ts";
import { type Cell, recordParts, text, unsigned } from "./image-record.ts";
import { group, type Part } from "./part.ts";

/**
 * Cuts a legacy image of U-Boot (include/image.h, `image_header`), big endian:
 * a header of 64 bytes with a time and a name, then a kernel, a RAM disk or a
 * script; a "multi" image has a list of sizes before its pieces.
 */
const HEADER = 64;
const MULTI = 4;
const SCRIPT = 6;
const MAX_PIECES = 1000;

function big(bytes: Uint8Array): bigint {
  return unsigned(bytes.toReversed());
}

const decimal = (bytes: Uint8Array): string => String(big(bytes));
const address = (bytes: Uint8Array): string => `0x${hex(bytes)}`;

function named(names: readonly string[]): (bytes: Uint8Array) => string {
  return (bytes) => names[bytes[0] ?? 0] ?? String(bytes[0] ?? 0);
}

const SYSTEMS = ["invalid", "OpenBSD", "NetBSD", "FreeBSD", "4.4BSD", "Linux"];
const MACHINES: Readonly<Record<number, string>> = {
  2: "ARM",
  3: "x86",
  5: "MIPS",
  6: "MIPS64",
  7: "PowerPC",
  8: "S390",
  22: "ARM64",
  24: "x86-64",
  26: "RISC-V",
};
const TYPES = [
  "invalid",
  "standalone",
  "kernel",
  "RAM disk",
  "multi",
  "firmware",
  "script",
  "file system",
  "device tree",
];
const COMPRESSIONS = ["none", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"];

const CELLS: readonly Cell[] = [
  ["magic", 4, "derived"],
  ["checksum of the header", 4, "derived"],
  ["mtime", 4, "field", decimal],
  ["size", 4, "derived"],
  ["load address", 4, "field", address],
  ["entry point", 4, "field", address],
  ["checksum", 4, "derived"],
  ["system", 1, "field", named(SYSTEMS)],
  ["machine", 1, "field", (bytes) => MACHINES[bytes[0] ?? 0] ?? String(bytes[0] ?? 0)],
  ["type", 1, "field", named(TYPES)],
  ["compression", 1, "field", named(COMPRESSIONS)],
  ["name", 32, "field", text],
];

/** Throws `input` for what is cut off. */
export function* uimageParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size < HEADER) {
    throw new BitforbitError("input", `${name}: U-Boot image, offset ${source.size}: cut off in the header`);
  }
  const header = source.read(0, HEADER).slice();
  const view = new DataView(header.buffer);
  if (view.getUint32(0) !== 0x27051956) {
    throw new BitforbitError("input", `${name}: U-Boot image, offset 0: no magic number`);
  }
  yield group("header", 0, HEADER, () => recordParts(CELLS, header, 0));
  const end = Math.min(source.size, HEADER + view.getUint32(12));
  const type = header[30];
  if (type !== MULTI && type !== SCRIPT) {
    yield { key: "data", kind: "content", offset: HEADER, length: end - HEADER };
    return;
  }
  // Sizes, up to a zero; then the pieces, each at a multiple of four.
  const sizes: number[] = [];
  let at = HEADER;
  for (; at + 4 <= end && sizes.length < MAX_PIECES; at += 4) {
    const size = Number(big(source.read(at, 4)));
    if (size === 0) break;
    sizes.push(size);
  }
  at += 4;
  if (at > end) return;
  yield { key: "sizes", kind: "derived", offset: HEADER, length: at - HEADER };
  for (const [index, size] of sizes.entries()) {
    if (at + size > end) return;
    yield { key: `piece ${index + 1}`, kind: "content", offset: at, length: size };
    at += Math.ceil(size / 4) * 4;
  }
}
