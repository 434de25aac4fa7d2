import { BitforbitError } from "../../errors.ts";
import { byteOrder } from "../../order.ts";
import type { Texts } from "./project.ts";

/** A change of a variable of the recipe's environment. */
export interface VariableEdit {
  kind: "environment";
  name: string;
  before: string | undefined;
  after: string;
}

/** `before`, which stands at `offset`, becomes `after`. */
export interface TextEdit {
  kind: "text";
  /** A file of the source; undefined: the recipe's command. */
  path: string | undefined;
  offset: number;
  before: string;
  after: string;
}

export type Edit = VariableEdit | TextEdit;

const textOf = (texts: Texts, path: string | undefined): string | undefined =>
  path === undefined ? texts.command : texts.files.get(path);

/** The texts with an edit made. Throws `conflict` when what it changes is not there. */
function edited(texts: Texts, edit: Edit): Texts {
  if (edit.kind === "environment") {
    if (texts.env[edit.name] !== edit.before) throw new BitforbitError("conflict", `${edit.name} is set otherwise`);
    return { ...texts, env: { ...texts.env, [edit.name]: edit.after } };
  }
  const { path, offset, before, after } = edit;
  const text = textOf(texts, path);
  if (text === undefined || !text.startsWith(before, offset)) {
    throw new BitforbitError("conflict", `${path ?? "the command"} does not say ${JSON.stringify(before)} there`);
  }
  const changed = text.slice(0, offset) + after + text.slice(offset + before.length);
  return path === undefined
    ? { ...texts, command: changed }
    : { ...texts, files: new Map([...texts.files, [path, changed]]) };
}

/** The texts with all edits made one after the other. */
export function withEdits(texts: Texts, edits: readonly Edit[]): Texts {
  return edits.reduce(edited, texts);
}

/**
 * The edits that a remedy found in texts as they stood, each with its place
 * counted in what the ones before it leave: later places of a text first.
 */
export function inSequence(edits: readonly Edit[]): Edit[] {
  return [...edits].sort((a, b) => {
    if (a.kind !== "text" || b.kind !== "text") return a.kind === b.kind ? 0 : a.kind === "text" ? 1 : -1;
    return byteOrder(a.path ?? "", b.path ?? "") || b.offset - a.offset;
  });
}

/** The edits without one: the places of later ones counted anew; undefined when one of them builds on it. */
export function without(edits: readonly Edit[], index: number): Edit[] | undefined {
  const dropped = edits[index];
  if (dropped === undefined) return [...edits];
  const kept = edits.slice(0, index);
  let span = dropped;
  for (const edit of edits.slice(index + 1)) {
    if (edit.kind === "environment" || span.kind === "environment") {
      if (edit.kind === "environment" && span.kind === "environment" && edit.name === span.name) return undefined;
      kept.push(edit);
      continue;
    }
    if (edit.path !== span.path) {
      kept.push(edit);
      continue;
    }
    const grown = span.after.length - span.before.length;
    if (edit.offset >= span.offset + span.after.length) kept.push({ ...edit, offset: edit.offset - grown });
    else if (edit.offset + edit.before.length <= span.offset) {
      kept.push(edit);
      span = { ...span, offset: span.offset + edit.after.length - edit.before.length };
    } else return undefined;
  }
  return kept;
}
