import { codeFiles } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import { oneEdit, type Replacement } from "./one-edit.ts";
import type { Remedy } from "./remedy.ts";
import { balanced } from "./shell.ts";

/** `names, err := folder.Readdirnames(-1)`, alone on its line; os.ReadDir and filepath.Walk sort by themselves. */
const READ =
  /^([ \t]*)(\w+),[ \t]*\w+[ \t]*:?=[ \t]*[\w.]+\.(Readdir|Readdirnames|ReadDir)\([ \t]*-?\d+[ \t]*\)[ \t]*\n/gm;
/** `for name, value := range things {` */
const RANGE = /^([ \t]*)for[ \t]+(\w+)(?:,[ \t]*(\w+))?[ \t]*:=[ \t]*range[ \t]+(\w+)[ \t]*\{/gm;

export const goOrder: Remedy = {
  name: "go-order",
  causes: ["readdir-order", "hash-order", "filesystem"],
  intrusion: "patch",
  says: "Go sorts what it reads from folders, and goes through maps by sorted keys: sort.Strings(…)",
  propose: (project) =>
    codeFiles(project, "go").flatMap(({ path, code }): TextEdit[] => {
      const changes = [...reads(code.bare), ...ranges(code.bare)];
      const needed = changes.length === 0 ? undefined : withSort(code.text, code.bare);
      return needed === undefined ? [] : oneEdit(path, code.text, [...needed, ...changes]);
    }),
};

function reads(bare: string): Replacement[] {
  return [...bare.matchAll(READ)].flatMap((match): Replacement[] => {
    const [whole, indent = "", list = "", call = ""] = match;
    const end = match.index + whole.length;
    if (list === "_" || new RegExp(`^\\s*sort\\.\\w+\\(${list}\\b`).test(bare.slice(end))) return [];
    const by = `func(i, j int) bool { return ${list}[i].Name() < ${list}[j].Name() }`;
    const sorted = call === "Readdirnames" ? `sort.Strings(${list})` : `sort.Slice(${list}, ${by})`;
    return [{ start: end, end, after: `${indent}${sorted}\n` }];
  });
}

/** Over what this file says is a map by strings. What a loop takes out of its map would still be visited. */
function ranges(bare: string): Replacement[] {
  return [...bare.matchAll(RANGE)].flatMap((match): Replacement[] => {
    const [whole, indent = "", key = "", value, map = ""] = match;
    const declared = new RegExp(`\\b${map}\\b[ \\t]*(?::=|=|[ \\t])[ \\t]*(?:make\\()?map\\[string\\]`).test(bare);
    const open = match.index + whole.length - 1;
    const body = bare.slice(open, balanced(bare, open, "{", "}"));
    if (
      !declared ||
      key === "_" ||
      new RegExp(`\\b${map}\\b[ \\t]*(?:\\[[^\\]]*\\][ \\t]*=|=)|\\bdelete\\(`).test(body)
    )
      return [];
    const keys = `func() []string { keys := make([]string, 0, len(${map})); for key := range ${map} { keys = append(keys, key) }; sort.Strings(keys); return keys }()`;
    const taken = value === undefined || value === "_" ? "" : `\n${indent}\t${value} := ${map}[${key}]`;
    return [{ start: match.index, end: open + 1, after: `${indent}for _, ${key} := range ${keys} {${taken}` }];
  });
}

/** The import of "sort"; [] where it is there, undefined where there is none to put it beside. */
function withSort(text: string, bare: string): Replacement[] | undefined {
  if (/^[ \t]*(?:import[ \t]+)?"sort"/m.test(text)) return [];
  const block = /^import[ \t]*\([ \t]*\n/m.exec(bare);
  const single = /^import[ \t]+"/m.exec(bare);
  if (block !== null) {
    const at = block.index + block[0].length;
    return [{ start: at, end: at, after: '\t"sort"\n' }];
  }
  return single === null ? undefined : [{ start: single.index, end: single.index, after: 'import "sort"\n' }];
}
