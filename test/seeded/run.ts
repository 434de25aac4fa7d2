/**
 * Checks generated projects from the command line and holds what is named against what is true:
 *
 *     npm run seeded                            all 300, then writes bench/seeded.md
 *     npm run seeded -- --cases 1..40           these
 *     npm run seeded -- --language rust         of one language
 *     npm run seeded -- --repeat 20             each so many times, which must all say the same
 *     npm run seeded -- --json FILE             keeps a line a project there, and goes on from what is there
 *     npm run seeded -- --jobs 2                so many at once (default: 1)
 *     npm run seeded -- --reprotest             each under reprotest, too
 *     npm run seeded -- --page                  writes bench/seeded.md of fewer than all, too
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { bitforbit, git, removeAll, writeFiles } from "../command.ts";
import { type Case, CASES, generate } from "./generate.ts";
import { canReprotest, hasReprotest, reprotest } from "./reprotest.ts";
import { type Document, expectedVerdict, linesOf, type Score, score, tables } from "./score.ts";

export interface Checked {
  score: Score;
  document: Document | undefined;
}

/** Checks one project `repeat` times; the score is of the first run. */
export async function checkCase(one: Case, repeat = 1, peer = false): Promise<Checked> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-seeded-"));
  try {
    writeFiles(folder, one.files);
    git(folder, "init", "--quiet", "--initial-branch=main");
    git(folder, "add", "--all");
    git(folder, "commit", "--quiet", "--message=first");
    const first = await once(one, folder);
    if (peer && canReprotest(one)) first.score.peer = await reprotest(one, folder);
    const { document } = first;
    if (document === undefined || repeat < 2) return first;
    let same = true;
    for (let run = 1; run < repeat; run++) {
      const again = (await once(one, folder)).document;
      same &&= again !== undefined && linesOf(again).join("\n") === linesOf(document).join("\n");
    }
    return { document, score: { ...first.score, same } };
  } finally {
    removeAll(folder);
  }
}

async function once(one: Case, folder: string): Promise<Checked> {
  const began = performance.now();
  const ran = await bitforbit(folder, ["check", "--json", ...askedBy(one)]);
  const seconds = (performance.now() - began) / 1000;
  const document = ran.stdout.trim() === "" ? undefined : (JSON.parse(ran.stdout) as Document & { error?: unknown });
  if (document !== undefined && document.error === undefined) return { document, score: score(one, document, seconds) };
  const nothing: Document = { verdict: "none", causes: [], covered: [], builds: 0, breaks: [] };
  return {
    document: undefined,
    score: { ...score(one, nothing, seconds), failure: (ran.stderr + ran.stdout).slice(-600) },
  };
}

/** What a case needs that is not varied unless it is asked for. */
function askedBy({ causes }: Case): string[] {
  return [
    ...((["filesystem", "vcs", "load", "race"] as const).some((name) => causes.includes(name))
      ? ["--vary", "all"]
      : []),
    ...(causes.includes("race") ? ["--until", "99%", "--rarity", "20%"] : []),
  ];
}

/** One line for each project, so that a run may be read while it goes on. */
function told({ score: one, document }: Checked): string {
  const good = one.missed.length + one.extra.length === 0 && one.verdict === one.expected;
  const parts = [
    `${good ? "ok  " : "MISS"} ${String(one.case).padStart(3)} ${one.language.padEnd(6)} ${one.seconds.toFixed(1)} s ${one.builds} builds`,
    `${one.ingredients.join("+")}: ${one.truth.join(",") || "none"}`,
    ...(one.verdict === one.expected ? [] : [`verdict ${one.verdict}, expected ${one.expected}`]),
    ...(one.missed.length === 0 ? [] : [`missed ${one.missed.join(",")}`]),
    ...(one.extra.length === 0 ? [] : [`extra ${one.extra.join(",")}`]),
    ...(one.same === false ? ["not the same in every run"] : []),
    ...(one.failure === undefined ? [] : [one.failure]),
  ];
  const details = good ? [] : (document?.causes ?? []).slice(0, 12).map(detail);
  return [parts.join(" · "), ...details].join("\n");
}

function detail({ name, artifact, leaf, confidence, basis, evidence }: Document["causes"][number]): string {
  const place = [artifact, ...leaf].join(" > ");
  return `       ${place}: ${name}, ${confidence}${basis === undefined ? "" : `, ${basis}`} | ${evidence.a.slice(0, 60)} | ${evidence.b.slice(0, 60)}`;
}

interface Options {
  cases: number[];
  language: string | undefined;
  repeat: number;
  json: string | undefined;
  jobs: number;
  reprotest: boolean;
  page: boolean;
}

function optionsOf(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      cases: { type: "string", default: `1..${CASES}` },
      language: { type: "string" },
      repeat: { type: "string", default: "1" },
      json: { type: "string" },
      jobs: { type: "string", default: "1" },
      reprotest: { type: "boolean", default: false },
      page: { type: "boolean", default: false },
    },
  });
  return {
    cases: numbers(values.cases),
    language: values.language,
    repeat: Number(values.repeat),
    json: values.json,
    jobs: Number(values.jobs),
    reprotest: values.reprotest,
    page: values.page,
  };
}

/** As `5,19,40..45` says; throws for what names no project. */
function numbers(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:\.\.(\d+))?$/.exec(part.trim()) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from >= 1 && from <= to && to <= CASES))
      throw new Error(`--cases ${text}: not numbers of 1..${CASES}: ${part}`);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
}

/** Scores that a run before left in `file`, of projects that are still the same. */
function kept(file: string | undefined): Map<number, Score> {
  if (file === undefined || !existsSync(file)) return new Map();
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const scores = lines.map((line) => JSON.parse(line) as Score);
  return new Map(scores.filter((one) => isCurrent(one)).map((one) => [one.case, one]));
}

function isCurrent(one: Score): boolean {
  const now = generate(one.case);
  return one.ingredients.join() === now.ingredients.join() && one.expected === expectedVerdict(now);
}

const PAGE = resolve(import.meta.dirname, "../../bench/seeded.md");

async function main(words: readonly string[]): Promise<void> {
  const options = optionsOf(words);
  if (options.reprotest && !hasReprotest()) throw new Error("reprotest, faketime or disorderfs is not installed");
  const scores = kept(options.json);
  const cases = options.cases
    .map((number) => generate(number))
    .filter(({ language }) => options.language === undefined || language === options.language);
  if (cases.length === 0) throw new Error(`no project of --cases is in the language ${options.language}`);
  const waiting = cases.filter(({ number }) => !scores.has(number));
  const work = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const checked = await checkCase(one, options.repeat, options.reprotest);
      console.log(told(checked));
      scores.set(one.number, checked.score);
      if (options.json !== undefined) appendFileSync(options.json, `${JSON.stringify(checked.score)}\n`);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  const done = cases.flatMap(({ number }) => scores.get(number) ?? []);
  console.log(`\n${tables(done)}`);
  if (cases.length === CASES || options.page) writeFileSync(PAGE, page(done));
}

function page(scores: readonly Score[]): string {
  return `# The seeded suite

${scores.length} of the ${CASES} generated projects in eight languages with none to five known causes each (\`test/seeded/\`), each
checked from the command line: \`npm run seeded\`. A cause is *found* when the verdict names it for the project as certain or likely, *not
varied* when no two of the builds differed in it. Consequences and what is said to be unknown are counted apart.

${tables(scores)}
`;
}

if (import.meta.main) await main(process.argv.slice(2));
