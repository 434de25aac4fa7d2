/** What a verdict says of a project against what is true of it. */
import type { CauseName } from "../../src/world.ts";
import type { Case } from "./generate.ts";
import type { PeerScore } from "./reprotest.ts";

/** What of schemas/check.schema.json is used here. */
export interface Document {
  verdict: string;
  causes: {
    name: CauseName;
    artifact: string;
    leaf: string[];
    confidence: string;
    basis?: string;
    with?: CauseName[];
    evidence: { a: string; b: string };
  }[];
  covered: CauseName[];
  /** Builds for the verdict and its causes. */
  builds: number;
  /** Of a build that fails in the adversarial world: the variations that break it, or that do so together. */
  breaks: CauseName[][];
}

export interface Score {
  case: number;
  language: string;
  ingredients: string[];
  truth: CauseName[];
  expected: string;
  verdict: string;
  named: CauseName[];
  found: CauseName[];
  missed: CauseName[];
  /** Of the missed: what no two builds differed in. */
  notVaried: CauseName[];
  extra: CauseName[];
  /** Leaves of which nothing is known, and that follow from another. */
  unknown: number;
  consequences: number;
  builds: number;
  seconds: number;
  /** Repeated runs said the same of every leaf; undefined: it ran once. */
  same?: boolean;
  /** What reprotest made of the same project. */
  peer?: PeerScore;
  /** Why there is no verdict. */
  failure?: string;
}

const SAID: readonly string[] = ["certain", "likely"];
const ASIDE: readonly CauseName[] = ["unknown", "consequence"];

/** The causes that a verdict names for the project, sorted: at least likely, with what they need beside them, and what breaks it. */
export function namedIn(document: Document): CauseName[] {
  const named = document.causes
    .filter(({ name, confidence }) => SAID.includes(confidence) && !ASIDE.includes(name))
    .flatMap(({ name, with: beside }) => [name, ...(beside ?? [])]);
  return [...new Set([...named, ...document.breaks.flat()])].sort();
}

/** Every leaf with its cause, as repeated runs must say it; what follows from bytes that are others each time does so, too. */
export function linesOf(document: Document): string[] {
  const causes = document.causes.filter(({ name }) => name !== "consequence");
  const lines = causes.map(
    ({ name, artifact, leaf, confidence }) => `${[artifact, ...leaf].join(" > ")}: ${name}, ${confidence}`,
  );
  return [`verdict ${document.verdict}`, ...new Set(lines)].sort();
}

export function expectedVerdict({ causes, breaks }: Case): string {
  if (breaks !== undefined) return "fails-in-adversarial";
  return causes.length === 0 ? "reproducible" : "differs";
}

export function score(one: Case, document: Document, seconds: number): Score {
  const truth = one.breaks === undefined ? one.causes : [one.breaks];
  const named = namedIn(document);
  const covered = new Set(document.covered);
  const isFound = (cause: CauseName): boolean =>
    [cause, one.toldAs[cause] ?? cause].some((name) => named.includes(name));
  const missed = truth.filter((cause) => !isFound(cause));
  return {
    case: one.number,
    language: one.language,
    ingredients: one.ingredients,
    truth,
    expected: expectedVerdict(one),
    verdict: document.verdict,
    named,
    found: truth.filter(isFound),
    missed,
    notVaried: missed.filter((cause) => !covered.has(cause)),
    extra: named.filter((cause) => ![...truth, ...one.also, ...Object.values(one.toldAs)].includes(cause)),
    unknown: document.causes.filter(({ name }) => name === "unknown").length,
    consequences: document.causes.filter(({ name }) => name === "consequence").length,
    builds: document.builds,
    seconds,
  };
}

interface Row {
  cause: string;
  cases: number;
  found: number;
  missed: number;
  notVaried: number;
  extra: number;
}

/** A row for each cause that is true or named somewhere, by name. */
function rowsOf(scores: readonly Score[]): Row[] {
  const causes = [...new Set(scores.flatMap(({ truth, named }) => [...truth, ...named]))].sort();
  const count = (pick: (one: Score) => readonly CauseName[], cause: CauseName): number =>
    scores.filter((one) => pick(one).includes(cause)).length;
  return causes.map((cause) => ({
    cause,
    cases: count(({ truth }) => truth, cause),
    found: count(({ found }) => found, cause),
    missed: count(({ missed }) => missed, cause),
    notVaried: count(({ notVaried }) => notVaried, cause),
    extra: count(({ extra }) => extra, cause),
  }));
}

const share = (part: number, whole: number): string => (whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`);

/** The tables of bench/seeded.md, in Markdown. */
export function tables(scores: readonly Score[]): string {
  const rows = rowsOf(scores);
  const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const all: Row = {
    cause: "**all**",
    cases: sum((row) => row.cases),
    found: sum((row) => row.found),
    missed: sum((row) => row.missed),
    notVaried: sum((row) => row.notVaried),
    extra: sum((row) => row.extra),
  };
  const line = ({ cause, cases, found, missed, notVaried, extra }: Row): string =>
    `| ${[cause, cases, found, missed, notVaried, extra, share(found, found + extra), share(found, cases)].join(" | ")} |`;
  return [
    "| cause | cases | found | missed | of these not varied | named without being one | precision | recall |",
    "|---|---|---|---|---|---|---|---|",
    ...[...rows, all].map(line),
    "",
    ...totals(scores).map((text) => `- ${text}`),
    ...besides(scores),
  ].join("\n");
}

/** The projects that reprotest had too, side by side. */
function besides(scores: readonly Score[]): string[] {
  const both = scores.flatMap((ours) => (ours.peer === undefined ? [] : [{ ours, peer: ours.peer }]));
  if (both.length === 0) return [];
  const sum = (of: (one: (typeof both)[number]) => number): number => both.reduce((all, one) => all + of(one), 0);
  const line = (who: string, found: number, missed: number, extra: number, builds: number, seconds: number): string =>
    `| ${[who, found, missed, extra, share(found, found + extra), share(found, found + missed), builds, (builds / both.length).toFixed(1), seconds.toFixed(0)].join(" | ")} |`;
  const said = (what: PeerScore["said"]): number => both.filter(({ peer }) => peer.said === what).length;
  return [
    "",
    `${both.length} projects under \`reprotest --auto-build\` too (all its variations but the user's; not Rust, which hangs under libfaketime), one after the other:`,
    "",
    "| | found | missed | named without being one | precision | recall | builds | a project | seconds |",
    "|---|---|---|---|---|---|---|---|---|",
    line(
      "bitforbit",
      sum(({ ours }) => ours.found.length),
      sum(({ ours }) => ours.missed.length),
      sum(({ ours }) => ours.extra.length),
      sum(({ ours }) => ours.builds),
      sum(({ ours }) => ours.seconds),
    ),
    line(
      "reprotest",
      sum(({ peer }) => peer.found),
      sum(({ peer }) => peer.missed),
      sum(({ peer }) => peer.extra),
      sum(({ peer }) => peer.builds),
      sum(({ peer }) => peer.seconds),
    ),
    "",
    `reprotest named something in ${said("named")}, called ${said("reproducible")} reproducible, gave up on ${said("gave up")} (they differ with nothing varied) and ended without an answer in ${said("failed")}.`,
  ];
}

const middle = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

function totals(scores: readonly Score[]): string[] {
  const of = (pick: (one: Score) => boolean): number => scores.filter(pick).length;
  const repeated = scores.filter(({ same }) => same !== undefined);
  const builds = scores.map((one) => one.builds);
  return [
    `${scores.length} projects; every cause named and none besides: ${of((one) => one.missed.length + one.extra.length === 0 && one.verdict === one.expected)}`,
    `verdict as expected: ${of((one) => one.verdict === one.expected)}`,
    ...["reproducible", "differs", "fails-in-adversarial"].map(
      (verdict) =>
        `${verdict}: ${of((one) => one.expected === verdict && one.verdict === verdict)} of ${of((one) => one.expected === verdict)}, and ${of((one) => one.expected !== verdict && one.verdict === verdict)} others`,
    ),
    `leaves of unknown cause: ${scores.reduce((all, one) => all + one.unknown, 0)}, in ${of((one) => one.unknown > 0)} projects; told as consequences: ${scores.reduce((all, one) => all + one.consequences, 0)}`,
    `builds: ${builds.reduce((all, one) => all + one, 0)} in all, median ${middle(builds)}, most ${Math.max(...builds)}`,
    `wall time of a check: median ${middle(scores.map((one) => one.seconds)).toFixed(1)} s`,
    ...(repeated.length === 0
      ? []
      : [
          `the same in every run: ${repeated.filter(({ same }) => same === true).length} of ${repeated.length} projects`,
        ]),
    ...(of((one) => one.failure !== undefined) === 0 ? [] : [`no verdict: ${of((one) => one.failure !== undefined)}`]),
  ];
}
