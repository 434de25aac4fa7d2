import type { Part } from "../format/part.ts";

const MAX_AHEAD = 50_000;

/** A group on one side, and its parts. */
export interface Side {
  part: Part;
  parts: Iterable<Part>;
}

/** The parts of both groups, from where the two begin to differ if the format can do that. */
export function insides(one: Part, other: Part, prefix: number): { a: Side; b: Side } {
  if (prefix > 0) {
    const [a, b] = [from(one, prefix), from(other, prefix)];
    const [skippedA, skippedB] = [a.part.offset - one.offset, b.part.offset - other.offset];
    if (skippedA === skippedB && skippedA <= prefix) return { a, b };
  }
  return { a: whole(one), b: whole(other) };
}

/** The group without what its cut left out at the beginning; the whole, when it found nothing at all. */
function from(group: Part, prefix: number): Side {
  const { first, parts } = ahead(group.parts?.(group.offset + prefix) ?? [], group.offset);
  const skipped = first === undefined ? 0 : first.offset - group.offset;
  return { part: { ...group, offset: group.offset + skipped, length: group.length - skipped }, parts };
}

function whole(part: Part): Side {
  return { part, parts: ahead(part.parts?.() ?? [], Infinity).parts };
}

/** Reads the first parts at once, so that a group that cannot be parsed shows before anything of it is told; `begin`: where it begins. */
function ahead(parts: Iterable<Part>, begin: number): { first: Part | undefined; parts: Iterable<Part> } {
  const iterator = parts[Symbol.iterator]();
  const read: Part[] = [];
  for (;;) {
    const { done, value } = iterator.next();
    if (done === true) return { first: read[0], parts: read };
    // What could be cut from its middle on is a list without an end to wait for.
    const most = (read[0] ?? value).offset > begin ? MAX_AHEAD / 50 : MAX_AHEAD;
    if (read.push(value) < most) continue;
    return { first: read[0], parts: continued(read, iterator) };
  }
}

function* continued(read: Part[], iterator: Iterator<Part>): Generator<Part> {
  yield* read.splice(0);
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) yield next.value;
}
