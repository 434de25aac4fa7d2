import assert from "node:assert/strict";
import * as fc from "fast-check";
import { memorySource, type ByteSource } from "../src/bytesource.ts";
import { BitforbitError } from "../src/errors.ts";
import type { Parse, Part } from "../src/format/part.ts";

export interface Shown {
  /** Keys from the outermost part inwards, joined by " › ". */
  path: string;
  kind: Part["kind"];
  offset: number;
  length: number;
  shown: string | undefined;
}

const LIMITS = { maxBytes: 16 << 20, maxRatio: 250, freeBytes: 16 << 20 };

/** Every part of a source, groups opened; asserts that parts are in order, do not overlap, and lie within their parent. */
export async function expanded(content: Uint8Array | ByteSource, parse: Parse, name = "input"): Promise<Shown[]> {
  const source = content instanceof Uint8Array ? memorySource(content, name) : content;
  const found: Shown[] = [];
  expand([...(await parse(source, name))], 0, source.size, "", found);
  return found;
}

function expand(parts: Iterable<Part>, from: number, to: number, above: string, found: Shown[]): void {
  let at = from;
  for (const part of parts) {
    const path = above === "" ? part.key : `${above} › ${part.key}`;
    const where = `${path}: ${part.offset}+${part.length}`;
    assert.ok(Number.isSafeInteger(part.offset) && Number.isSafeInteger(part.length) && part.length >= 0, where);
    assert.ok(part.offset >= at, `${where} begins before ${at}, where the part before it ends`);
    assert.ok(part.offset + part.length <= to, `${where} reaches beyond ${to}`);
    at = part.offset + part.length;
    const shown = part.show?.();
    found.push({ path, kind: part.kind, offset: part.offset, length: part.length, shown });
    assert.equal(part.kind === "group", part.parts !== undefined, `${where}: a group, and only a group, has parts`);
    if (part.parts !== undefined) expand(part.parts(), part.offset, at, path, found);
  }
}

/**
 * Damages `content` in many ways (bits, bytes, runs, lengths, copies, cuts) and
 * asserts that the parser gives good parts or a BitforbitError, and decodes
 * within bounds; whatever else it throws is a defect.
 */
export async function survives(content: Uint8Array, parse: Parse, runs = 300, name = "input"): Promise<void> {
  await fc.assert(
    fc.asyncProperty(damaged(content), async (bytes) => {
      const source = memorySource(bytes, name);
      try {
        const parts = [...(await parse(source, name))];
        expand(parts, 0, source.size, "", []);
        for (const part of parts) if (part.decode !== undefined) await part.decode.run(() => undefined, LIMITS);
      } catch (error) {
        if (!(error instanceof BitforbitError)) throw error;
      }
    }),
    { numRuns: runs },
  );
}

function damaged(content: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(Math.max(0, content.length - 1));
  const change = fc.oneof(
    fc.record({ how: fc.constant("set" as const), at, value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
    fc.record({ how: fc.constant("flip" as const), at, value: fc.nat(7) }),
    fc.record({ how: fc.constant("word" as const), at, value: fc.constantFrom(0, 1, 0x7fffffff, 0xffffffff) }),
    fc.record({ how: fc.constant("copy" as const), at, value: at }),
    fc.record({ how: fc.constant("cut" as const), at, value: fc.constant(0) }),
  );
  return fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
    let bytes = Uint8Array.from(content);
    for (const { how, at: place, value } of changes) {
      if (place >= bytes.length) continue;
      if (how === "set") bytes[place] = value;
      else if (how === "flip") bytes[place] = (bytes[place] ?? 0) ^ (1 << value);
      else if (how === "word" && place + 4 <= bytes.length) new DataView(bytes.buffer).setUint32(place, value, true);
      else if (how === "copy") bytes.copyWithin(place, value, value + 64);
      else if (how === "cut") bytes = bytes.slice(0, place);
    }
    return bytes;
  });
}
