import assert from "node:assert/strict";
import { INFLATION_LIMITS } from "../src/format/inflation.ts";
import type { Part } from "../src/format/part.ts";

/** The part at a path of keys; the first of a name. */
export function partAt(parts: Iterable<Part>, ...path: string[]): Part {
  const [key, ...rest] = path;
  const part = [...parts].find((each) => each.key === key);
  assert.ok(part !== undefined, `there is no ${key}`);
  return rest.length > 0 ? partAt(part.parts?.() ?? [], ...rest) : part;
}

/** What the content at a path of keys decodes to, as text. */
export async function listed(parts: Iterable<Part>, ...path: string[]): Promise<string> {
  const chunks: Uint8Array[] = [];
  const part = partAt(parts, ...path);
  assert.ok(part.decode !== undefined, `${part.key} is not decoded`);
  await part.decode.run((chunk) => chunks.push(chunk), INFLATION_LIMITS);
  return Buffer.concat(chunks).toString();
}

/** Decodes every content, however deep; what it throws is the caller's. */
export async function decodeAll(parts: Iterable<Part>): Promise<void> {
  for (const part of parts) {
    if (part.parts !== undefined) await decodeAll(part.parts());
    if (part.decode !== undefined) await part.decode.run(() => undefined, INFLATION_LIMITS);
  }
}
