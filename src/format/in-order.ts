import type { Part } from "./part.ts";

/**
 * Parts found by following offsets, put into the order of the file. Where two
 * overlap, as hostile or thrifty files have it, the first stays (of two that
 * begin together the longer); what reaches out of `from` to `to` is left out.
 * What is left out is not lost: it is raw bytes to the comparer.
 */
export function inOrder(parts: readonly Part[], from: number, to: number): Part[] {
  const sorted = [...parts].sort((one, other) => one.offset - other.offset || other.length - one.length);
  const kept: Part[] = [];
  let at = from;
  for (const part of sorted) {
    if (part.offset < at || part.offset + part.length > to) continue;
    kept.push(part);
    at = part.offset + part.length;
  }
  return kept;
}
