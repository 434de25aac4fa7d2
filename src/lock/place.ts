/** Where a value stands in a lock's text: for error messages, so it may be a guess, but never fails. */

export type Path = readonly (string | number)[];

const HEADER = /^\s*\[/;

/**
 * Line and column, from 1, of the value at `path` (keys, and indexes from 0 into
 * lists). Where it can't be told, the nearest table or key that holds it.
 */
export function placeIn(source: string, path: Path): { line: number; column: number } {
  const lines = source.split("\n");
  const [first = "", second] = path;
  const tables = headers(lines, String(first));
  const start = typeof second === "number" ? tables[second] : tables[0];
  const rest = start === undefined ? path : path.slice(typeof second === "number" ? 2 : 1);
  const from = start === undefined ? 0 : start + 1;
  const [key, index, inner] = rest;
  if (key === undefined || typeof key === "number") return at(lines, start ?? 0);
  const until = lines.findIndex((line, number) => number >= from && HEADER.test(line) && !/^\s+\[/.test(line));
  const keyLine = lines.findIndex(
    (line, number) => number >= from && (until < 0 || number < until) && startsWithKey(line, key),
  );
  if (keyLine < 0) return at(lines, start ?? 0);
  if (typeof index !== "number") return at(lines, keyLine);
  const items = lines.slice(keyLine + 1, until < 0 ? undefined : until);
  let count = -1;
  const item = items.findIndex((line) => /^\s*[{"']/.test(line) && ++count === index);
  if (item < 0) return at(lines, keyLine);
  const line = keyLine + 1 + item;
  const column = typeof inner === "string" ? (lines[line] ?? "").indexOf(`${inner} =`) : -1;
  return column < 0 ? at(lines, line) : { line: line + 1, column: column + 1 };
}

function at(lines: readonly string[], line: number): { line: number; column: number } {
  return { line: line + 1, column: Math.max(0, (lines[line] ?? "").search(/\S/)) + 1 };
}

/** Lines with the header of a table, or of each table of a list. */
function headers(lines: readonly string[], name: string): number[] {
  return lines.flatMap((line, number) => (/^\s*\[\[?\s*([^\]\s]+)\s*\]/.exec(line)?.[1] === name ? number : []));
}

function startsWithKey(line: string, key: string): boolean {
  const [, bare, quoted] = /^\s*(?:([A-Za-z0-9_-]+)|["']([^"']*)["'])\s*=/.exec(line) ?? [];
  return (bare ?? quoted) === key;
}
