/** Commands of a traced build as people know them: which are shells, which only pass on, how one would type them. */
import type { TracedProcess } from "../sandbox/trace.ts";
import type { CauseName } from "../world.ts";

/** `gcc` of `/usr/bin/gcc`; of `-bash`, a login shell, `bash`. */
export function programOf({ argv }: Pick<TracedProcess, "argv">): string {
  const [first = ""] = argv;
  return first.slice(first.lastIndexOf("/") + 1).replace(/^-/, "");
}

const SHELLS = new Set(["sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"]);

export const isShell = (process: Pick<TracedProcess, "argv">): boolean => SHELLS.has(programOf(process));

/** What `sh -c` was given to run. */
export function literalOf(process: Pick<TracedProcess, "argv">): string | undefined {
  if (!isShell(process)) return undefined;
  const at = process.argv.findIndex((word, index) => index > 0 && /^-[a-z]*c[a-z]*$/.test(word));
  if (at === -1 || process.argv.slice(1, at).some((word) => !word.startsWith("-"))) return undefined;
  return process.argv.slice(at + 1).find((word) => !/^[-+]/.test(word));
}

const INTERPRETERS =
  /^(?:python[\d.]*|pypy\d*|node|nodejs|deno|bun|perl[\d.]*|ruby[\d.]*|php[\d.]*|lua[\d.]*|Rscript)$/;

export const isInterpreter = (process: TracedProcess): boolean =>
  isShell(process) || INTERPRETERS.test(programOf(process));

const COPIERS = new Set(["cp", "mv", "install", "ginstall", "ln", "cat", "dd", "rsync", "tee"]);
/** What writes little of its own: the bytes come out of what it read. */
const CARRIERS = new Set(["objcopy", "strip", "gzip", "pigz", "bzip2", "xz", "zstd", "lz4", "ranlib", "patchelf"]);

export const isCopier = (process: TracedProcess): boolean => COPIERS.has(programOf(process));
export const isCarrier = (process: TracedProcess): boolean =>
  isCopier(process) || CARRIERS.has(programOf(process).replace(/^.*-(?=strip$|objcopy$|ranlib$)/, ""));

const INNER =
  /^(?:cc1|cc1plus|cc1obj|f951|gnat1|lto1|lto-wrapper|collect2|(?:.*-)?as|(?:.*-)?ld(?:\.\w+)?|ld64|mold|rust-lld)$/;
const DRIVER = /^(?:.*-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|gnat\w*|rustc|gcc-\d+|g\+\+-\d+|clang-\d+)$/;
const GO_INNER = /\/pkg\/tool\/[^/]+\/(?:compile|link|asm|cgo|pack|buildid|cover|vet)$/;

/** The command that people call instead of this one: `gcc` for `cc1`, `go` for its `compile`; undefined: this is it. */
export function driverOf(process: TracedProcess, above: readonly TracedProcess[]): TracedProcess | undefined {
  if (GO_INNER.test(process.argv[0] ?? "")) return above.find((one) => programOf(one) === "go");
  if (!INNER.test(programOf(process))) return undefined;
  return above.slice(0, 4).find((one) => DRIVER.test(programOf(one)));
}

const SAYS_NOTHING = new Set([
  "env",
  "nice",
  "ionice",
  "nohup",
  "setpriv",
  "setarch",
  "setsid",
  "stdbuf",
  "taskset",
  "time",
  "timeout",
  "unshare",
  "bwrap",
]);

const words = (text: string): string => text.replaceAll(/["'\\\s]+/g, " ").trim();

/** Whether a command above another tells nothing that the other does not: it only sets something and becomes it. */
export function saysNothing(process: TracedProcess, below: TracedProcess): boolean {
  if (SAYS_NOTHING.has(programOf(process))) return true;
  const literal = literalOf(process)?.replace(/^\s*exec\s+/, "");
  if (literal === undefined) return false;
  return words(literal) === words(literalOf(below) ?? below.argv.join(" "));
}

const MAX_TYPED = 200;
const MAX_WORDS = 256;
const MAX_WORD = 1024;

/** A command as one would type it, shortened: `sh -c` is what it was given. */
export function asTyped(process: Pick<TracedProcess, "argv">): string {
  const literal = literalOf(process);
  const text =
    literal
      ?.trim()
      .replaceAll(/\s*\\\n\s*/g, " ")
      .replaceAll(/\s*\n\s*/g, "; ") ?? process.argv.slice(0, MAX_WORDS).map(quoted).join(" ");
  return shortened(text);
}

export function shortened(text: string): string {
  return text.length <= MAX_TYPED ? text : `${text.slice(0, MAX_TYPED - 1).toWellFormed()}…`;
}

const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.slice(0, MAX_WORD).replaceAll("'", `'\\''`)}'`;

/** The words of a command, within bounds. */
export function boundedWords({ argv }: TracedProcess): string[] {
  const words = argv
    .slice(0, MAX_WORDS)
    .map((word) => (word.length > 4 * MAX_WORD ? `${word.slice(0, 4 * MAX_WORD)}…` : word));
  return argv.length > MAX_WORDS ? [...words, "…"] : words;
}

export const sameWords = (a: TracedProcess, b: TracedProcess): boolean =>
  a.argv.length === b.argv.length && a.argv.every((word, at) => word === b.argv[at]);

/** Programs whose answer is the thing itself. */
const ANSWERS: Partial<Record<CauseName, RegExp>> = {
  clock: /^(?:date|hwclock|cal)$/,
  timezone: /^(?:date|cal)$/,
  hostname: /^(?:hostname|hostnamectl|uname|dnsdomainname)$/,
  user: /^(?:id|whoami|logname|who|groups|getent)$/,
  random: /^(?:uuidgen|mktemp|openssl|shuf|od|xxd|mcookie|pwgen|hexdump)$/,
  path: /^(?:pwd|realpath|readlink)$/,
  kernel: /^uname$/,
  "cpu-count": /^(?:nproc|getconf|lscpu)$/,
  "cpu-model": /^lscpu$/,
  mtime: /^(?:stat|ls|date|find)$/,
  umask: /^(?:stat|ls|find)$/,
  "readdir-order": /^(?:find|ls)$/,
  locale: /^(?:sort|ls|locale|date)$/,
  environment: /^(?:env|printenv)$/,
  terminal: /^(?:stty|tput)$/,
  memory: /^(?:free|vmstat)$/,
  filesystem: /^(?:stat|df|du|ls)$/,
  pid: /^ps$/,
  vcs: /^git$/,
};

/** Whether what a program prints is what a cause is about: `hostname` for the host's name. */
export const answers = (process: TracedProcess, cause: CauseName | undefined): boolean =>
  cause !== undefined && ANSWERS[cause]?.test(programOf(process)) === true;
