/**
 * The script and the style sheet of a report, made of the files in this
 * folder. From source they are read here; in the bundle this module is
 * replaced by what it gave when the bundle was made (scripts/bundle.ts).
 */
import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";

/** In the order in which each finds what it needs above it. */
const FILES = [
  "visible.ts",
  "words.ts",
  "hex-rows.ts",
  "leaf-rows.ts",
  "heights.ts",
  "scroller.ts",
  "document.ts",
  "elements.ts",
  "filter.ts",
  "pane.ts",
  "tree.ts",
  "header.ts",
  "search.ts",
  "causes.ts",
  "page.ts",
];

export interface ReportAssets {
  script: string;
  style: string;
}

export async function reportAssets(): Promise<ReportAssets> {
  const folder = import.meta.dirname;
  const sources = await Promise.all(FILES.map((file) => readFile(join(folder, file), "utf8")));
  return { script: linked(sources), style: await readFile(join(folder, "style.css"), "utf8") };
}

/** Modules as one script: without types, imports and exports, in one scope. Throws an Error where two declare the same name. */
export function linked(sources: readonly string[]): string {
  const names = new Set<string>();
  const pieces = sources.map((source) => {
    const code = withoutTypes(source)
      .replace(/^import\b[^;]*;$/gm, "")
      .replace(/^export (?=\S)/gm, "");
    for (const [, name = ""] of code.matchAll(/^(?:async )?(?:function\*? |const |let |class )(\w+)/gm)) {
      if (names.has(name)) throw new Error(`two files of the report declare ${name}`);
      names.add(name);
    }
    return code
      .replace(/[ \t]+$/gm, "")
      .replace(/\n{2,}/g, "\n")
      .trim();
  });
  const script = `(() => {\n"use strict";\n${pieces.join("\n")}\n})();`;
  if (/<\/script|<!--/i.test(script)) throw new Error("the report's script would end its own element");
  return script;
}

function withoutTypes(source: string): string {
  // Node calls it an experiment at every first use; that is nothing to tell those who compare files.
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}
