import type { Part } from "./part.ts";

/** A part of a source that begins at `by` within the one in which it is to be told. */
export function shifted(part: Part, by: number): Part {
  const { parts } = part;
  const moved = { ...part, offset: part.offset + by };
  if (parts === undefined) return moved;
  return {
    ...moved,
    *parts() {
      for (const inner of parts()) yield shifted(inner, by);
    },
  };
}
