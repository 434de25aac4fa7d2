import type { TextEdit } from "./edit.ts";

/** What of a text is replaced, by offsets in it. */
export interface Replacement {
  start: number;
  end: number;
  after: string;
}

/** Replacements that make no sense without each other as one edit: from the first to the last of them. */
export function oneEdit(path: string, text: string, replacements: readonly Replacement[]): TextEdit[] {
  const sorted = [...replacements].sort((a, b) => a.start - b.start);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) return [];
  let after = "";
  let at = first.start;
  for (const { start, end, after: replaced } of sorted) {
    after += text.slice(at, start) + replaced;
    at = end;
  }
  return [{ kind: "text", path, offset: first.start, before: text.slice(first.start, at), after }];
}
