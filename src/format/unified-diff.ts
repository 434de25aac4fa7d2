/**
 * Unified diffs (POSIX, `diff -u`; as `git diff` and `git format-patch` write
 * them), read and applied strictly: what a patch says is there has to be there,
 * at the line that it names, to the last byte. Nothing is searched for.
 *
 *     --- a/path            or /dev/null: the file is made
 *     +++ b/path            or /dev/null: the file is removed
 *     @@ -from,count +from,count @@
 *      context  -removed  +added
 *     \ No newline at end of file
 */
import { BitforbitError } from "../errors.ts";

/** What a patch does to one file. Texts are bytes, one character each (latin1). */
export interface FilePatch {
  /** Below the folder that is patched, without the first name (`a/`, `b/`). */
  path: string;
  change: "make" | "change" | "remove";
  executable: boolean;
  hunks: Hunk[];
}

interface Hunk {
  /** Of the patch, from 1. */
  line: number;
  /** Index of the first line that it names in the file as it was. */
  from: number;
  /** Lines with their ends. */
  before: string[];
  after: string[];
}

const ABSENT = "/dev/null";
/** Of git's own lines those that change more than texts. */
const BEYOND_TEXT =
  /^(?:GIT binary patch|Binary files |rename |copy |old mode |new mode |similarity index |deleted file mode 1[26]|new file mode 1[26])/;
const HUNK = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/;

/** The files that a patch changes, in its order. Throws `input`, naming `name` and the line. */
export function parsePatch(text: string, name: string): FilePatch[] {
  const reader = new PatchReader(
    Buffer.from(text, "utf8")
      .toString("latin1")
      .split(/(?<=\n)/),
    name,
  );
  const files = [...reader.files()];
  if (files.length === 0) throw new BitforbitError("input", `${name}: no unified diff in it`);
  return files;
}

class PatchReader {
  readonly #lines: string[];
  readonly #name: string;
  #at = 0;

  constructor(lines: string[], name: string) {
    this.#lines = lines;
    this.#name = name;
  }

  *files(): Generator<FilePatch> {
    let git = false;
    let executable = false;
    for (; this.#at < this.#lines.length;) {
      const line = this.#bare(this.#at);
      if (line.startsWith("diff --git ")) {
        if (git) throw this.#bad("a file with no text to change: only texts are patched");
        git = true;
        executable = false;
      }
      if (git && BEYOND_TEXT.test(line)) throw this.#bad(`not a change of text: ${line}`);
      if (git && line === "new file mode 100755") executable = true;
      if (!line.startsWith("--- ") || !this.#bare(this.#at + 1).startsWith("+++ ")) {
        this.#at++;
        continue;
      }
      yield this.#file(executable);
      git = false;
      executable = false;
    }
    if (git) throw this.#bad("the last file has no text to change: only texts are patched");
  }

  #file(executable: boolean): FilePatch {
    const [from, to] = [this.#path(4), this.#path(4, 1)];
    if (from === undefined && to === undefined) throw this.#bad("neither a file before nor one after");
    if (from !== undefined && to !== undefined && from !== to) throw this.#bad(`${from} would be renamed to ${to}`);
    this.#at += 2;
    const hunks: Hunk[] = [];
    while (HUNK.test(this.#bare(this.#at))) hunks.push(this.#hunk());
    if (hunks.length === 0) throw this.#bad("no hunk where one should be");
    // What stands where a hunk has ended would be left out without a word.
    if (/^[+ \\@]|^-(?!-(?: |-- )|- ?$)/.test(this.#bare(this.#at))) throw this.#bad("a line that belongs to no hunk");
    const change = from === undefined ? "make" : to === undefined ? "remove" : "change";
    return { path: from ?? to ?? "", change, executable, hunks };
  }

  /** Of a `---` or `+++` line: without its first name, and without the time that diff(1) puts behind a tab. */
  #path(start: number, further = 0): string | undefined {
    const written = this.#bare(this.#at + further)
      .slice(start)
      .replace(/\t.*$/, "");
    if (written === ABSENT) return undefined;
    const path = Buffer.from(written.replace(/^[^/]*\//, ""), "latin1").toString("utf8");
    const parts = path.split("/");
    if (
      !written.includes("/") ||
      /["\\\u0000]/.test(written) ||
      parts.some((part) => /^(?:|\.|\.\.|\.git)$/i.test(part))
    ) {
      throw this.#bad(`not a path that is patched: ${JSON.stringify(written)}`, further);
    }
    return path;
  }

  #hunk(): Hunk {
    const line = this.#at + 1;
    const [, start = "", removed = "1", , added = "1"] = HUNK.exec(this.#bare(this.#at++)) ?? [];
    let [left, right] = [Number(removed), Number(added)];
    const [before, after]: [string[], string[]] = [[], []];
    while (left > 0 || right > 0 || this.#bare(this.#at).startsWith("\\")) {
      const text = this.#lines[this.#at] ?? "";
      const sign = text[0];
      if (sign === "\\") {
        const last = this.#lines[this.#at - 1]?.[0];
        if (last !== "+") chop(before);
        if (last !== "-") chop(after);
      } else if (sign === " " || sign === "-" || sign === "+") {
        if (sign !== "+" && left-- <= 0) throw this.#bad("more lines than the hunk says");
        if (sign !== "-" && right-- <= 0) throw this.#bad("more lines than the hunk says");
        if (sign !== "+") before.push(text.slice(1));
        if (sign !== "-") after.push(text.slice(1));
      } else throw this.#bad("fewer lines than the hunk says");
      this.#at++;
    }
    return { line, from: Number(start) - (removed === "0" ? 0 : 1), before, after };
  }

  #bare(at: number): string {
    return (this.#lines[at] ?? "").replace(/\r?\n$/, "");
  }

  #bad(what: string, further = 0): BitforbitError {
    return new BitforbitError("input", `${this.#name}:${this.#at + further + 1}: ${what}`);
  }
}

function chop(lines: string[]): void {
  const last = lines.pop();
  if (last !== undefined) lines.push(last.replace(/\n$/, ""));
}

/**
 * A file's bytes (latin1) as the patch leaves them. Throws `input` where the
 * file is not what the patch was made for; `name` is the patch's.
 */
export function patched({ path, hunks }: FilePatch, before: string, name: string): string {
  const lines = before === "" ? [] : before.split(/(?<=\n)/);
  const after: string[] = [];
  let at = 0;
  for (const hunk of hunks) {
    const fits = hunk.from >= at && hunk.before.every((line, index) => lines[hunk.from + index] === line);
    if (!fits) {
      throw new BitforbitError("input", `${name}:${hunk.line}: does not fit ${path} at line ${hunk.from + 1}`, {
        hint: "make the patch anew against this very source: nothing is searched for, and nothing is applied in part",
      });
    }
    after.push(...lines.slice(at, hunk.from), ...hunk.after);
    at = hunk.from + hunk.before.length;
  }
  return [...after, ...lines.slice(at)].join("");
}
