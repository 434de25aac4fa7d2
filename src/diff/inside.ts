import { BitforbitError } from "../errors.ts";
import type { Part } from "../format/part.ts";
import { isGap } from "./part-list.ts";

const MAX_LINES = 60;
const MAX_LINE = 200;
/** Parts that are looked at: many of them may have nothing to say. */
const MAX_PARTS = 2000;
const MAX_DEPTH = 6;

/** What stands in a group that the other side does not have: its values and listings, a line each. */
export function insideOf(group: Part): string[] {
  const lines: string[] = [];
  const left = { parts: MAX_PARTS };
  try {
    linesIn(group, "", lines, left);
  } catch (error) {
    // What cannot be parsed is shown by its bytes.
    if (!(error instanceof BitforbitError)) throw error;
  }
  return lines.slice(0, MAX_LINES);
}

function linesIn(group: Part, indent: string, lines: string[], left: { parts: number }): void {
  for (const part of group.parts?.() ?? []) {
    if (--left.parts < 0 || lines.length >= MAX_LINES) return;
    if (part.kind === "padding" || part.kind === "derived" || part.kind === "stored" || isGap(part)) continue;
    const name = part.label ?? part.key;
    const said = part.show?.();
    const deeper = part.kind === "group" && indent.length < MAX_DEPTH * 2;
    if (said === undefined && !deeper) continue;
    const before = lines.length;
    if (said !== undefined)
      lines.push(...said.split("\n").map((line, at) => lineOf(indent, at === 0 ? name : "", line)));
    else if (name !== "") lines.push(`${indent}${name}`);
    if (!deeper) continue;
    linesIn(part, name === "" ? indent : `${indent}  `, lines, left);
    // A name above nothing says nothing.
    if (said === undefined && name !== "" && lines.length === before + 1) lines.pop();
  }
}

function lineOf(indent: string, name: string, value: string): string {
  return `${indent}${name === "" || name === value ? "" : `${name}: `}${value}`.slice(0, MAX_LINE);
}
