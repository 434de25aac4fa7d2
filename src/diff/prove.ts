import { createHash } from "node:crypto";
import type { ByteSource } from "../bytesource.ts";
import type { Proof } from "./comparison.ts";
import type { Difference, Range } from "./difference.ts";

const CHUNK = 1 << 20;

/**
 * Shows of one node that it is complete, knowing nothing of how it was made:
 * that the ranges of its leaves and of the children that lie in it do not
 * overlap on either side; that what they leave out is the same bytes in the
 * same order; and that A with each range replaced by B's is B, by SHA-256.
 * Adds to `proof`; throws an Error (a defect of ours) otherwise.
 */
export function proveNode(node: Difference, a: ByteSource, b: ByteSource, proof: Proof): void {
  const claimed = claims(node);
  const left = outside(
    node,
    "a",
    claimed.map((range) => range.a),
    a.size,
  );
  const right = outside(
    node,
    "b",
    claimed.map((range) => range.b),
    b.size,
  );
  const [sameA, sameB] = [bytesIn(left), bytesIn(right)];
  if (sameA !== sameB) throw incomplete(node, `${sameA} bytes of A and ${sameB} of B lie outside its leaves`);
  if (applied(a, b, left, right, claimed) !== digestOf(b)) throw incomplete(node, "applied to A it does not give B");
  proof.spaces++;
  proof.equal += sameA;
  proof.inLeavesA += a.size - sameA;
  proof.inLeavesB += b.size - sameB;
}

function bytesIn(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

function incomplete(node: Difference, why: string): Error {
  return new Error(`the difference of ${node.path.join(" > ")} (${node.format}) is not complete: ${why}`);
}

/** What the leaves and the children in place take of the node's bytes. */
function claims(node: Difference): { a: Range; b: Range }[] {
  return node.children.flatMap((child) => {
    if (child.kind === "leaf") return child.ranges;
    return child.place === undefined || child.decoding !== undefined ? [] : [child.place];
  });
}

/** What no range takes, in order. */
function outside(node: Difference, side: string, ranges: readonly Range[], size: number): Range[] {
  const taken = ranges.filter(({ length }) => length > 0).sort((one, other) => one.offset - other.offset);
  const found: Range[] = [];
  let at = 0;
  for (const { offset, length } of taken) {
    if (offset < at) throw incomplete(node, `two leaves hold byte ${offset} of ${side}`);
    if (offset > at) found.push({ offset: at, length: offset - at });
    at = offset + length;
  }
  if (at > size) throw incomplete(node, `a leaf reaches to ${at} of ${side}, beyond its ${size} bytes`);
  if (at < size) found.push({ offset: at, length: size - at });
  return found;
}

/**
 * SHA-256 of B put together anew: what is the same comes from A, in order, and
 * the rest from the leaves, which hold B's bytes.
 */
function applied(
  a: ByteSource,
  b: ByteSource,
  sameA: readonly Range[],
  sameB: readonly Range[],
  claimed: readonly { b: Range }[],
): string {
  const hash = createHash("sha256");
  const fromA = bytesOf(a, sameA);
  const pieces = [
    ...sameB.map((range) => ({ ...range, same: true })),
    ...claimed.filter((range) => range.b.length > 0).map((range) => ({ ...range.b, same: false })),
  ].sort((one, other) => one.offset - other.offset);
  for (const { offset, length, same } of pieces) {
    for (const bytes of same ? fromA(length) : bytesOf(b, [{ offset, length }])(length)) hash.update(bytes);
  }
  return hash.digest("hex");
}

/** Reads ranges one after another, as if they were one. */
function bytesOf(source: ByteSource, ranges: readonly Range[]): (length: number) => Generator<Uint8Array> {
  let index = 0;
  let done = 0;
  return function* (length) {
    for (let left = length; left > 0;) {
      const range = ranges[index];
      if (range === undefined) return;
      const count = Math.min(left, range.length - done, CHUNK);
      if (count > 0) yield source.read(range.offset + done, count);
      left -= count;
      done += count;
      if (done < range.length) continue;
      index++;
      done = 0;
    }
  };
}

function digestOf(source: ByteSource): string {
  const hash = createHash("sha256");
  for (let at = 0; at < source.size; at += CHUNK) hash.update(source.read(at, Math.min(CHUNK, source.size - at)));
  return hash.digest("hex");
}
