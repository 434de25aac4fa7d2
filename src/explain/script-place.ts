import type { TracedProcess } from "../sandbox/trace.ts";
import type { CauseName } from "../world.ts";
import type { Writer } from "./cause.ts";
import { isInterpreter, literalOf, programOf, shortened } from "./commands.ts";
import { isBuildScript, scriptNamedBy, type SourceText } from "./script-files.ts";
import { type ScriptLine, scriptLines, wordsOf } from "./script-lines.ts";

type Place = NonNullable<Writer["script"]>;

/** What was written, and why it differs, if that is known. */
interface Wanted {
  path: string;
  cause: CauseName | undefined;
}

/**
 * Where the build script asks for a command: `chain` is the command and those
 * above it. The nearest that names a script of the source, or that a shell was
 * given as text, is looked up there; otherwise the words of the command itself.
 */
export function scriptPlace(
  chain: readonly TracedProcess[],
  sources: readonly SourceText[],
  wanted: Wanted,
): Place | undefined {
  const scripts = sources.filter(({ path }) => isBuildScript(path));
  const index = weighed(scripts);
  for (const [at, process] of chain.entries()) {
    const named = scriptNamedBy(process, sources);
    const found =
      named === undefined ? lookedUp(process, chain[at + 1], index, wanted) : within(named, chain.slice(0, at), wanted);
    if (found !== undefined) return found;
  }
  return calledInSource(chain, sources, wanted);
}

/** The line of a script for a shell's text, or for a command that no shell above was given as text or script. */
function lookedUp(
  process: TracedProcess,
  above: TracedProcess | undefined,
  index: Index,
  wanted: Wanted,
): Place | undefined {
  const literal = literalOf(process) ?? inlineOf(process);
  if (literal !== undefined) return best(index, wordsOf(literal), wanted);
  // A shell's text says more than the command that came of it.
  const text = above === undefined ? undefined : literalOf(above);
  return (
    (text === undefined ? undefined : best(index, wordsOf(text), wanted)) ??
    best(index, wordsOf(process.argv.slice(0, 200).join(" ").slice(0, 8192)), wanted)
  );
}

/** What an interpreter was given as text: `python -c`, `node -e`. */
function inlineOf(process: TracedProcess): string | undefined {
  const { argv } = process;
  if (!isInterpreter(process)) return undefined;
  const at = argv.findIndex((word, index) => index > 0 && /^(?:-[ce]|--eval)$/.test(word));
  return at === -1 ? undefined : argv[at + 1];
}

interface Index {
  lines: readonly ScriptLine[];
  /** In how many lines a word stands. */
  frequency: ReadonlyMap<string, number>;
}

const indexes = new WeakMap<SourceText, { scripts: readonly SourceText[]; index: Index }>();

/** The lines of all scripts, made once for the same list of them. */
function weighed(scripts: readonly SourceText[]): Index {
  const [first] = scripts;
  const known = first === undefined ? undefined : indexes.get(first);
  if (
    known !== undefined &&
    known.scripts.length === scripts.length &&
    known.scripts.every((one, at) => one === scripts[at])
  )
    return known.index;
  const lines = scripts.flatMap((script) => [...scriptLines(script)]);
  const frequency = new Map<string, number>();
  for (const { words } of lines) for (const word of words) frequency.set(word, (frequency.get(word) ?? 0) + 1);
  const index = { lines, frequency };
  if (first !== undefined) indexes.set(first, { scripts, index });
  return index;
}

/** Share of a command's words, by weight, that a line must have. */
const ENOUGH = 0.5;
const RARE = 4;

/** The line that has most of a command's words, where rare words weigh more. */
function best({ lines, frequency }: Index, command: ReadonlySet<string>, { path }: Wanted): Place | undefined {
  const weight = (word: string): number => Math.log(1 + lines.length / (frequency.get(word) ?? 1));
  // What stands in no line came out of a variable.
  const known = [...command].filter((word) => frequency.has(word));
  const all = known.reduce((sum, word) => sum + weight(word), 0);
  const output = path.slice(path.lastIndexOf("/") + 1);
  let [found, most]: [ScriptLine | undefined, number] = [undefined, 0];
  for (const line of lines) {
    const shared = known.filter((word) => line.words.has(word));
    const share = shared.reduce((sum, word) => sum + weight(word), 0) / all;
    const telling = shared.some((word) => word.length > 2 && (frequency.get(word) ?? 0) <= RARE);
    if (share < ENOUGH || !telling) continue;
    let size = 0;
    for (const word of line.words) size += weight(word);
    // Of two lines that have it all, the one with less besides.
    const score = share + 0.1 * Math.min(1, all / size) + (line.words.has(output) ? 0.1 : 0);
    if (score > most) [found, most] = [line, score];
  }
  return found === undefined ? undefined : placeOf(found);
}

/** The calls by which programs ask for what a cause is about. */
const CLOCK =
  /\bdate\b|\btime\.|strftime|datetime|localtime|gmtime|Date\.now|new Date|toISOString|\bctime\b|\btime\s*\(|\bnow\s*\(|__DATE__|__TIME__|SystemTime|currentTimeMillis|LocalDate|Instant/;
const CALLS: Partial<Record<CauseName, RegExp>> = {
  clock: CLOCK,
  timezone: CLOCK,
  mtime: /mtime|getmtime|\bstat\b|lastModified|ModTime|\btar\b|\bzip\b/,
  hostname: /hostname|uname|nodename|platform\.node|getHostName/i,
  user: /whoami|getuser|getlogin|\bid\b|userInfo|getpw|user\.name|\bUSER\b|LOGNAME/,
  random: /rand|uuid|mktemp|tempfile|mkstemp|mkdtemp|secrets\.|shuf/i,
  path: /\bpwd\b|\bPWD\b|cwd|__dirname|__filename|__file__|__FILE__|abspath|realpath|resolve\(|CURDIR|current_dir|CARGO_MANIFEST_DIR|user\.dir|Getwd/,
  locale: /\bsort\b|locale|LANG|LC_/,
  "readdir-order": /listdir|readdir|scandir|glob|walk|\bfind\b|\bls\b|iterdir|wildcard|opendir|ReadDir|read_dir/,
  "hash-order": /\bset\b|\bset\(|dict|keys|hash|\bmap\b|HashMap|HashSet/,
  pid: /getpid|\$\$|process\.pid|\.Getpid|process::id/,
  kernel: /uname|os\.release|platform\.|os\.version/,
  "cpu-count": /nproc|cpu_count|availableParallelism|cpus\(|NumCPU|available_parallelism|availableProcessors|getconf/,
  umask: /umask|chmod|mode|\bcp\b|install/,
  aslr: /%p|\bid\(|hashCode|identityHashCode|&\w+/,
  memory: /meminfo|sysconf|totalmem|maxMemory|\bfree\b/,
  filesystem: /st_ino|st_blksize|\bstat\b|\bdf\b|\bdu\b/,
  environment: /environ|getenv|process\.env|printenv|env::|\$\w+/,
  terminal: /isatty|isTTY|columns|COLUMNS|tput|stty/,
  vcs: /\bgit\b|rev-parse|describe|setuptools_scm|buildvcs/,
  race: /&\s*$|\bwait\b|[Tt]hread|spawn|parallel|Promise\.all|go func/,
};

const WRITES = />|write|open|save|output|dump|-o\b|print/i;

/** The line of a script that made a file: one that names it, that runs the command below, or that asks for what differs. */
function within(source: SourceText, below: readonly TracedProcess[], { path, cause }: Wanted): Place | undefined {
  const output = path.slice(path.lastIndexOf("/") + 1);
  const child = below.at(-1);
  const command = child === undefined ? [] : [...wordsOf(literalOf(child) ?? child.argv.slice(0, 200).join(" "))];
  const program = child === undefined ? "" : programOf(child);
  const asks = cause === undefined ? undefined : CALLS[cause];
  let [found, most]: [ScriptLine | undefined, number] = [undefined, 0.9];
  for (const line of scriptLines(source)) {
    if (/^(?:import|from|use|package|#!|const \w+ = require)\b/.test(line.text)) continue;
    const shared = command.filter((word) => line.words.has(word)).length;
    const score =
      (line.text.includes(output) ? 2 : 0) +
      (command.length === 0 ? 0 : (2 * shared) / command.length) +
      (program !== "" && line.words.has(program) ? 0.5 : 0) +
      (asks?.test(line.text) === true ? 1 : 0) +
      (WRITES.test(line.text) ? 0.25 : 0);
    if (score > most) [found, most] = [line, score];
  }
  return found === undefined ? undefined : placeOf(found);
}

/** As a last resort the source file that the command was given, where it asks for what differs. */
function calledInSource(
  [writer]: readonly TracedProcess[],
  sources: readonly SourceText[],
  { cause }: Wanted,
): Place | undefined {
  const asks = cause === undefined ? undefined : CALLS[cause];
  if (writer === undefined || asks === undefined) return undefined;
  for (const word of writer.argv.slice(1, 200)) {
    const source = sources.find(({ path }) => word === path || word.endsWith(`/${path}`));
    const line = source === undefined ? undefined : scriptLines(source).find(({ text }) => asks.test(text));
    if (line !== undefined) return placeOf(line);
  }
  return undefined;
}

const placeOf = ({ path, line, text }: ScriptLine): Place => ({ path, line, text: shortened(text) });
