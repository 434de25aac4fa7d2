import { type Edit, withEdits } from "../explain/remedies/edit.ts";
import type { Texts } from "../explain/remedies/project.ts";
import { RECIPE_FILE } from "../recipe/recipe.ts";

/** An edit as people read it: the line before and after. */
export interface PlacedEdit {
  path: string;
  /** From 1; in the recipe's command, of the command. Absent for a variable. */
  line?: number;
  before: string;
  after: string;
}

/** Edits with the whole lines that they change, each in what the ones before it leave. */
export function placed(from: Texts, edits: readonly Edit[]): PlacedEdit[] {
  let texts = from;
  return edits.map((edit) => {
    const now = texts;
    texts = withEdits(texts, [edit]);
    if (edit.kind === "environment") {
      const said = (value: string | undefined): string =>
        value === undefined ? "" : `${edit.name} = ${JSON.stringify(value)}`;
      return { path: RECIPE_FILE, before: said(edit.before), after: said(edit.after) };
    }
    const { path, offset } = edit;
    const [was, is] = [now, texts].map((one) => (path === undefined ? one.command : (one.files.get(path) ?? "")));
    return {
      path: path ?? RECIPE_FILE,
      line: (was ?? "").slice(0, offset).split("\n").length,
      before: linesAround(was ?? "", offset, edit.before.length),
      after: linesAround(is ?? "", offset, edit.after.length),
    };
  });
}

function linesAround(text: string, offset: number, length: number): string {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const end = text.indexOf("\n", Math.max(offset + length - (text[offset + length - 1] === "\n" ? 1 : 0), start));
  return text.slice(start, end < 0 ? text.length : end);
}
