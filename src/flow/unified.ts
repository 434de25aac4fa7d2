import { diff as myers } from "fast-myers-diff";

const CONTEXT = 3;

/** A file's change in the unified format (POSIX, diff -u), as git and patch take it; "" where nothing changed. */
export function unifiedDiff(path: string, before: string, after: string): string {
  if (before === after) return "";
  const [a, b] = [linesOf(before), linesOf(after)];
  const changes = [...myers(a, b)];
  const groups: (typeof changes)[] = [];
  for (const change of changes) {
    const group = groups.at(-1);
    const end = group?.at(-1)?.[1];
    if (group !== undefined && end !== undefined && change[0] - end <= 2 * CONTEXT) group.push(change);
    else groups.push([change]);
  }
  return `--- a/${path}\n+++ b/${path}\n${groups.map((group) => hunk(a, b, group)).join("")}`;
}

type Change = [fromA: number, toA: number, fromB: number, toB: number];

function hunk(a: readonly string[], b: readonly string[], group: readonly Change[]): string {
  const [first, last] = [group[0], group.at(-1)];
  if (first === undefined || last === undefined) return "";
  const from = Math.max(0, first[0] - CONTEXT);
  const to = Math.min(a.length, last[1] + CONTEXT);
  const lines: string[] = [];
  let at = from;
  for (const [fromA, toA, fromB, toB] of group) {
    for (; at < fromA; at++) lines.push(` ${a[at] ?? ""}`);
    for (; at < toA; at++) lines.push(`-${a[at] ?? ""}`);
    for (let index = fromB; index < toB; index++) lines.push(`+${b[index] ?? ""}`);
  }
  for (; at < to; at++) lines.push(` ${a[at] ?? ""}`);
  const startB = first[2] - (first[0] - from);
  const countB = last[3] - startB + (to - last[1]);
  const text = lines.map((line) => (line.endsWith("\n") ? line : `${line}\n\\ No newline at end of file\n`)).join("");
  return `@@ -${range(from, to - from)} +${range(startB, countB)} @@\n${text}`;
}

const range = (start: number, count: number): string => `${count === 0 ? start : start + 1},${count}`;

/** Lines with their ends; none of an empty text. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
