/**
 * Shell (POSIX, "Shell Command Language") as far as one must read it to change a
 * word of a command and nothing else: words with their quotes, what joins
 * commands, commands in $(…) and `…`, comments and here-documents left alone.
 * In Makefiles a dollar of the shell's is written twice, and $(…) is make's own.
 */
export interface Word {
  start: number;
  end: number;
  /** As it is written. */
  text: string;
}

export interface ShellCommand {
  /** With assignments before the name, without redirections. */
  words: Word[];
  /** Index of the word that names the program; `words.length` when there are only assignments. */
  at: number;
  /** The program's name without its folder. */
  name: string;
  start: number;
  end: number;
  /** What joins it to what comes before and after: "|", "&&", ";", "\n", "$(", "" at an end. */
  before: string;
  after: string;
  /** Its output goes into a file. */
  redirected: boolean;
}

const RESERVED = new Set(["if", "then", "else", "elif", "do", "while", "until", "!", "time", "{", "exec", "command"]);
const OPERATORS = ["&&", "||", ";;", "|&", "|", ";", "&"];
const MAX_DEPTH = 40;

/** The commands of a text of shell, in the order in which they end. */
export function commandsIn(text: string, flavour: "shell" | "make" = "shell"): ShellCommand[] {
  return new Scanner(text, flavour).all();
}

class Scanner {
  private readonly text: string;
  private readonly dollar: string;
  private readonly found: ShellCommand[] = [];
  private heredocs: { end: string; tabs: boolean }[] = [];

  constructor(text: string, flavour: "shell" | "make") {
    this.text = text;
    this.dollar = flavour === "make" ? "$$" : "$";
  }

  all(): ShellCommand[] {
    for (let at = 0; at < this.text.length;) at = this.list(at, "", "", 0);
    return this.found;
  }

  /** Commands from `from` on, up to `close`; gives where it goes on. */
  private list(from: number, close: string, opened: string, depth: number): number {
    let words: Word[] = [];
    let before = opened;
    let redirected = false;
    const { text } = this;
    const flush = (after: string): void => {
      this.add(words, before, after, redirected);
      words = [];
      redirected = false;
      before = after;
    };
    let at = from;
    while (at < text.length) {
      const char = text[at] ?? "";
      if (char === close) {
        flush("");
        return at + 1;
      }
      if (char === "\n") {
        flush("\n");
        at = this.afterHeredocs(at + 1);
      } else if (char === "\\" && text[at + 1] === "\n") at += 2;
      else if (/\s/.test(char)) at++;
      else if (char === "#") at = lineEnd(text, at);
      else if (char === "(" && depth < MAX_DEPTH) {
        flush("(");
        at = this.list(at + 1, ")", "(", depth + 1);
      } else if (char === ")" || char === "(") {
        flush(char);
        at++;
      } else {
        const operator = OPERATORS.find((one) => text.startsWith(one, at));
        const redirect = /^(?:[0-9]*(?:<<-|<<<|<<|>>|<&|>&|>\||<>|<|>)|&>>?)/.exec(text.slice(at, at + 12))?.[0];
        if (redirect !== undefined) {
          if (redirect.includes(">")) redirected = true;
          at = this.redirection(at + redirect.length, redirect, depth);
        } else if (operator !== undefined) {
          flush(operator);
          at += operator.length;
        } else {
          const end = this.word(at, close, depth);
          words.push({ start: at, end, text: text.slice(at, end) });
          at = end;
        }
      }
    }
    flush("");
    return at;
  }

  private add(words: Word[], before: string, after: string, redirected: boolean): void {
    const [first] = words;
    const last = words.at(-1);
    if (first === undefined || last === undefined) return;
    let at = words.findIndex(({ text }) => !/^[A-Za-z_]\w*=/.test(text) && !RESERVED.has(text));
    if (at < 0) at = words.length;
    const name = (words[at]?.text ?? "").replace(/^[@+-]+/, "").replace(/^.*\//, "");
    this.found.push({ words, at, name, start: first.start, end: last.end, before, after, redirected });
  }

  /** Where a word that starts at `from` ends; commands in it are found on the way. */
  private word(from: number, close: string, depth: number): number {
    const { text } = this;
    let at = from;
    while (at < text.length) {
      const char = text[at] ?? "";
      if (char === close || /[\s;&|<>()]/.test(char)) break;
      if (char === "'") {
        const end = text.indexOf("'", at + 1);
        at = end < 0 ? text.length : end + 1;
      } else if (char === '"') at = this.quoted(at + 1, depth);
      else at = this.piece(at, depth);
    }
    return Math.max(at, from + 1);
  }

  /** Past one character, escape, expansion or substitution. */
  private piece(at: number, depth: number): number {
    const { text, dollar } = this;
    if (text[at] === "\\") return at + 2;
    if (text[at] === "`" && depth < MAX_DEPTH) return this.list(at + 1, "`", "$(", depth + 1);
    if (text[at] !== "$") return at + 1;
    const own = text.startsWith(dollar, at);
    const open = at + (own ? dollar.length : 1);
    if (text[open] === "(" && own && depth < MAX_DEPTH) return this.list(open + 1, ")", "$(", depth + 1);
    if (text[open] === "(") return balanced(text, open, "(", ")");
    if (text[open] === "{") return balanced(text, open, "{", "}");
    return open;
  }

  private quoted(from: number, depth: number): number {
    let at = from;
    while (at < this.text.length) {
      if (this.text[at] === '"') return at + 1;
      at = this.piece(at, depth);
    }
    return at;
  }

  private redirection(from: number, operator: string, depth: number): number {
    let at = from;
    while (/[ \t]/.test(this.text[at] ?? "")) at++;
    const end = at < this.text.length && !/\s/.test(this.text[at] ?? "") ? this.word(at, "", depth) : at;
    if (operator === "<<" || operator === "<<-") {
      const word = this.text.slice(at, end).replace(/["'\\]/g, "");
      if (word !== "") this.heredocs.push({ end: word, tabs: operator === "<<-" });
    }
    return end;
  }

  private afterHeredocs(from: number): number {
    let at = from;
    for (const { end, tabs } of this.heredocs) {
      while (at < this.text.length) {
        const next = lineEnd(this.text, at);
        const line = this.text.slice(at, next);
        at = next + 1;
        if ((tabs ? line.replace(/^\t+/, "") : line) === end) break;
      }
    }
    this.heredocs = [];
    return at;
  }
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

/** Past the bracket that closes the one at `at`; the end of the text when none does. */
export function balanced(text: string, at: number, open: string, close: string): number {
  let depth = 0;
  for (let index = at; index < text.length; index++) {
    if (text[index] === open) depth++;
    else if (text[index] === close && --depth === 0) return index + 1;
  }
  return text.length;
}
