import { codeFiles } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import { oneEdit, type Replacement } from "./one-edit.ts";
import type { Remedy } from "./remedy.ts";
import { balanced } from "./shell.ts";

/** What only the hashed ones have, or what tells that their hashing is chosen. */
const HASHED =
  /\b(?:with_capacity|with_hasher|RandomState|hash_map|hash_set|BuildHasher|capacity|reserve|drain|BTreeMap|BTreeSet)\b/;

export const rustOrder: Remedy = {
  name: "rust-order",
  causes: ["hash-order", "readdir-order", "filesystem"],
  intrusion: "patch",
  says: "Rust that the build runs sorts what it reads from folders, and keeps maps and sets in order: BTreeMap for HashMap",
  propose: (project) =>
    codeFiles(project, "rust").flatMap(({ path, code }): TextEdit[] =>
      oneEdit(path, code.text, [...reads(code.text, code.bare), ...(HASHED.test(code.bare) ? [] : hashed(code.bare))]),
    ),
};

function hashed(bare: string): Replacement[] {
  return [...bare.matchAll(/\bHash(?=(?:Map|Set)\b)/g)].map(({ index }) => ({
    start: index,
    end: index + "Hash".length,
    after: "BTree",
  }));
}

/** `for entry in fs::read_dir(path)? {`: what is gone through is what it was, in the order of paths. */
function reads(text: string, bare: string): Replacement[] {
  return [...bare.matchAll(/\bfor\s+\w+\s+in\s+((?:std::)?fs::read_dir|read_dir)\(/g)].flatMap(
    (match): Replacement[] => {
      const open = match.index + match[0].length - 1;
      const start = open - (match[1]?.length ?? 0);
      const called = balanced(bare, open, "(", ")");
      const opened = /^\s*(?:\?|\.unwrap\(\)|\.expect\("[^"]*"\))/.exec(bare.slice(called))?.[0];
      if (opened === undefined || !/^\s*\{/.test(bare.slice(called + opened.length))) return [];
      const end = called + opened.length;
      const after = `{ let mut entries: Vec<_> = ${text.slice(start, end)}.collect(); entries.sort_by_key(|entry| entry.as_ref().ok().map(|entry| entry.path())); entries }`;
      return [{ start, end, after }];
    },
  );
}
