import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import { balanced } from "./shell.ts";

export type Language = "python" | "javascript" | "rust" | "go" | "java" | "perl" | "c";

const BY_NAME: readonly [RegExp, Language][] = [
  [/\.py$/, "python"],
  [/\.(?:js|mjs|cjs|ts|mts|cts|jsx|tsx)$/, "javascript"],
  [/\.rs$/, "rust"],
  [/\.go$/, "go"],
  [/\.java$/, "java"],
  [/\.(?:pl|pm)$/, "perl"],
  [/\.(?:c|h|cc|cpp|cxx|hpp|hh)$/, "c"],
];

const BY_INTERPRETER: readonly [RegExp, Language][] = [
  [/^#!.*\bpython/, "python"],
  [/^#!.*\b(?:node|deno|bun)\b/, "javascript"],
  [/^#!.*\bperl\b/, "perl"],
];

export function languageOf(path: string, text: string): Language | undefined {
  const [, byName] = BY_NAME.find(([pattern]) => pattern.test(path)) ?? [];
  return byName ?? BY_INTERPRETER.find(([pattern]) => pattern.test(text))?.[1];
}

/** Source code in which nothing but code is left to be found. */
export interface Code {
  text: string;
  /** As long as `text`: blanks stand for comments and for what is in strings, but for expressions in them. */
  bare: string;
  /** Strings with expressions in them, and the quote that one cannot use there. */
  templates: { start: number; end: number; quote: string }[];
}

const STRINGS: Readonly<Record<Language, RegExp>> = {
  python:
    /#[^\n]*|([rbuRBU]{0,2}|[fF][rR]?|[rR][fF])("""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/g,
  javascript: /\/\/[^\n]*|\/\*[^]*?\*\/|()("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)/g,
  rust: /\/\/[^\n]*|\/\*[^]*?\*\/|()("(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\.)')/g,
  go: /\/\/[^\n]*|\/\*[^]*?\*\/|()("(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+')/g,
  java: /\/\/[^\n]*|\/\*[^]*?\*\/|()("""[^]*?"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')/g,
  perl: /(?:^|(?<=[\s;]))#[^\n]*|()("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/gm,
  c: /\/\/[^\n]*|\/\*[^]*?\*\/|()("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+')/g,
};

export function codeOf(text: string, language: Language): Code {
  const templates: Code["templates"] = [];
  let bare = "";
  let from = 0;
  for (const match of text.matchAll(STRINGS[language])) {
    const [whole, prefix = "", string] = match;
    bare += text.slice(from, match.index);
    from = match.index + whole.length;
    const template = language === "python" ? /f/i.test(prefix) : language === "javascript" && string?.[0] === "`";
    if (string === undefined || !template) {
      bare += whole.replace(/[^\n]/g, (char, at: number) =>
        at === 0 || at === whole.length - 1 ? quoteOr(char) : " ",
      );
      continue;
    }
    templates.push({ start: match.index, end: from, quote: string[0] ?? '"' });
    bare += withExpressions(whole, language === "python" ? "{" : "${");
  }
  return { text, bare: bare + text.slice(from), templates };
}

const quoteOr = (char: string): string => (/["'`]/.test(char) ? char : " ");

/** A string of which only the expressions in braces are left. */
function withExpressions(whole: string, open: string): string {
  let shown = "";
  for (let at = 0; at < whole.length;) {
    const brace = at + open.length - 1;
    if (!whole.startsWith(open, at) || (open === "{" && whole[at + 1] === "{")) {
      const step = open === "{" && whole.startsWith("{{", at) ? 2 : 1;
      shown += whole.slice(at, at + step).replace(/[^\n]/g, " ");
      at += step;
      continue;
    }
    const end = balanced(whole, brace, "{", "}");
    shown += " ".repeat(open.length) + whole.slice(brace + 1, end - 1) + " ";
    at = end;
  }
  return shown;
}

/** Something found in a file of code. */
export interface Found {
  path: string;
  code: Code;
  start: number;
  end: number;
  /** Of a call: what stands between the parentheses. */
  inside: string;
  match: RegExpExecArray;
  /** A quote that can be used there. */
  quote: '"' | "'";
}

/** Files that a build runs in one language. */
export function codeFiles(project: Project, language: Language): { path: string; code: Code }[] {
  return project.scripts.flatMap((path) => {
    const text = project.files.get(path) ?? "";
    return languageOf(path, text) === language ? [{ path, code: codeOf(text, language) }] : [];
  });
}

/**
 * Replaces what a pattern finds in the code of one language: never in comments,
 * nor in strings. A pattern that ends with an opening parenthesis finds the whole
 * call. `change` gives undefined to leave a place alone.
 */
export function codeEdits(
  project: Project,
  language: Language,
  pattern: RegExp,
  change: (found: Found) => string | undefined,
): TextEdit[] {
  return codeFiles(project, language).flatMap(({ path, code }) => {
    const edits: TextEdit[] = [];
    const search = new RegExp(pattern.source, `${pattern.flags.replace("g", "")}g`);
    for (let match = search.exec(code.bare); match !== null; match = search.exec(code.bare)) {
      const found = foundAt(path, code, match);
      const after = change(found);
      const before = code.text.slice(found.start, found.end);
      if (after === undefined || after === before) continue;
      edits.push({ kind: "text", path, offset: found.start, before, after });
      search.lastIndex = Math.max(found.end, search.lastIndex);
    }
    return edits;
  });
}

function foundAt(path: string, code: Code, match: RegExpExecArray): Found {
  const start = match.index;
  const open = start + match[0].length - 1;
  const call = code.bare[open] === "(";
  const end = call ? balanced(code.bare, open, "(", ")") : open + 1;
  const template = code.templates.find((one) => one.start < start && end <= one.end);
  return {
    path,
    code,
    start,
    end,
    inside: call ? code.text.slice(open + 1, end - 1) : "",
    match,
    quote: template?.quote === '"' ? "'" : '"',
  };
}

/** Where the chain of names, calls and indexes that ends at `end` begins: `a.b(c)` before `.d`. */
export function chainStart(bare: string, end: number): number {
  let at = end;
  while (at > 0) {
    const char = bare[at - 1] ?? "";
    if (/[\w.$?]/.test(char)) at--;
    else if (char === ")" || char === "]") {
      const open = char === ")" ? "(" : "[";
      let depth = 0;
      let index = at - 1;
      for (; index >= 0; index--) {
        if (bare[index] === char) depth++;
        else if (bare[index] === open && --depth === 0) break;
      }
      if (index < 0) return at;
      at = index;
    } else break;
  }
  return at;
}

/** Edits of Python files together with the imports that these need and do not have. */
export function withImports(project: Project, edits: readonly TextEdit[], module: string): TextEdit[] {
  const paths = [...new Set(edits.flatMap(({ path }) => (path === undefined ? [] : [path])))];
  return [...edits, ...paths.flatMap((path) => importOf(project, path, module))];
}

function importOf(project: Project, path: string, module: string): TextEdit[] {
  const text = project.files.get(path) ?? "";
  const { bare } = codeOf(text, "python");
  if (new RegExp(`^import[^\\n]*\\b${module}\\b(?!\\.)(?! as)`, "m").test(bare)) return [];
  const first = /^(?:import|from(?! __future__))\b/m.exec(bare)?.index ?? afterHead(text);
  return [{ kind: "text", path, offset: first, before: "", after: `import ${module}\n` }];
}

/** Past what has to stand first: the interpreter's line, comments, the docstring, imports of the future. */
function afterHead(text: string): number {
  const head = /^(?:#[^\n]*\n|\s*\n)*(?:[rR]?(?:"""[^]*?"""|'''[^]*?''')[^\n]*\n)?(?:\s*from __future__[^\n]*\n)*/.exec(
    text,
  );
  return head?.[0].length ?? 0;
}
