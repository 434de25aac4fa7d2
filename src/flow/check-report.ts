import { rfc3339 } from "../clock.ts";
import { type Leaf, leavesOf } from "../diff/difference.ts";
import { counted } from "../diff/findings.ts";
import { reportHtml } from "../diff/html.ts";
import { incompleteIn } from "../diff/reading.ts";
import type { CheckCause, CheckHead, CheckPlace } from "../diff/report/document.ts";
import type { Cause, Writer } from "../explain/cause.ts";
import { type CauseGroup, causeGroups, surenessWords } from "../explain/groups.ts";
import { asTyped } from "../explain/commands.ts";
import { environmentWords } from "../lock/environment.ts";
import type { Verdict, WorldRun } from "./check.ts";
import type { Prepared } from "./prepare.ts";

/** A verdict as the pieces of one HTML file: cause by cause, then the difference itself. */
export function checkReport(prepared: Prepared, verdict: Verdict): AsyncGenerator<string> {
  const { difference } = verdict;
  const [a = "canonical", b = "adversarial"] = verdict.worlds.map(({ world }) => world.name);
  const { against } = verdict;
  const reading = {
    a: { name: `the ${a} world` },
    b: { name: against === undefined ? `the ${b} world` : against.named.toWellFormed() },
    difference,
    excluded: [],
    incomplete: incompleteIn(difference),
  };
  const leaves = new Leaves(difference === undefined ? [] : [...leavesOf(difference)]);
  return reportHtml(reading, (numbers) => headOf(prepared, verdict, leaves, numbers));
}

/** Leaves by the place that causes name them with. */
class Leaves {
  readonly #byPlace: Map<string, Leaf[]>;

  constructor(leaves: readonly Leaf[]) {
    this.#byPlace = Map.groupBy(leaves, ({ path, field }) =>
      JSON.stringify(field === undefined ? path : [...path, field]),
    );
  }

  /** The leaf at a place that an offset lies in, else the first there. */
  at(path: readonly string[], offset: number | undefined): Leaf | undefined {
    const found = this.#byPlace.get(JSON.stringify(path)) ?? [];
    const around = found.find(({ ranges, atA, bytesA }) => {
      if (offset === undefined) return false;
      const [first, last] = [ranges[0]?.a, ranges.at(-1)?.a];
      const begin = Math.min(first?.offset ?? Infinity, atA ?? Infinity);
      const end = Math.max((last?.offset ?? 0) + (last?.length ?? 0), (atA ?? 0) + (bytesA?.length ?? 0));
      return offset >= begin && offset < end;
    });
    return around ?? found[0];
  }
}

const MAX_PLACES = 20;
const MAX_CONSEQUENCES = 200;
const MAX_COMMANDS = 10;

function headOf(prepared: Prepared, verdict: Verdict, leaves: Leaves, numbers: ReadonlyMap<Leaf, number>): CheckHead {
  const { groups, loose } = causeGroups(verdict.causes);
  const placeOf = (path: readonly string[], offset: number | undefined): CheckPlace => {
    const leaf = leaves.at(path, offset);
    const number = leaf === undefined ? undefined : numbers.get(leaf);
    return {
      path: path.map((name) => name.toWellFormed()),
      ...(offset === undefined ? {} : { offset }),
      ...(number === undefined ? {} : { leaf: number }),
    };
  };
  return {
    project: prepared.recipe.name.toWellFormed(),
    ...outcomeOf(verdict),
    about: aboutOf(prepared, verdict),
    causes: groups.map((group) => causeOf(group, placeOf)),
    loose: loose.length,
    failures: verdict.worlds.flatMap(({ world, failure }) =>
      failure === undefined
        ? []
        : [{ world: world.name, reason: failure.reason.toWellFormed(), log: failure.tail.toWellFormed() }],
    ),
    worlds: { names: verdict.worlds.map(({ world }) => world.name), rows: worldRows(verdict.worlds) },
    notCovered: [...verdict.lacks, ...verdict.unasked].map(({ what, remedy, causes }) => ({ what, remedy, causes })),
    sayings: [...verdict.open, ...verdict.caveats, ...verdict.notCanonical],
  };
}

function outcomeOf({ outcome, breaks }: Verdict): Pick<CheckHead, "verdict" | "tone"> {
  switch (outcome) {
    case "reproducible":
      return { verdict: "reproducible", tone: "good" };
    case "differs":
      return { verdict: "does not reproduce", tone: "bad" };
    case "fails-in-adversarial": {
      const why = breaks.length === 0 ? "" : `: ${breaks.map((one) => one.join(" with ")).join(", or ")}`;
      return { verdict: `fails in the adversarial world${why}`, tone: "warn" };
    }
    case "built-once":
      return { verdict: "built once", tone: "warn" };
    case "matches-given":
      return { verdict: "reproduces the given artifact", tone: "good" };
    case "differs-from-given":
      return { verdict: "differs from the given artifact", tone: "bad" };
    case "failed":
      return { verdict: "the build failed", tone: "bad" };
  }
}

function aboutOf({ source, lock }: Prepared, verdict: Verdict): string[] {
  const total =
    verdict.covered.length + new Set([...verdict.lacks, ...verdict.unasked].flatMap(({ causes }) => causes)).size;
  const from = source.commit === undefined ? `${source.kind} ${source.uri}` : `commit ${source.commit}`;
  return [
    `${from} · ${environmentWords(lock.environment)}`,
    `${counted(verdict.outputs.length, "output")} · ${counted(verdict.builds, "build")} · ${verdict.covered.length} of ${total} variations covered: ${verdict.covered.join(", ")}`,
  ].map((line) => line.toWellFormed());
}

const pathOf = ({ artifact, leaf }: Cause): string[] => [artifact, ...leaf];

type PlaceOf = (path: readonly string[], offset: number | undefined) => CheckPlace;

function causeOf(group: CauseGroup, placeOf: PlaceOf): CheckCause {
  const [first] = group.places;
  const [confidence = "possible", ...why] = (first === undefined ? "" : surenessWords(first)).split(": ");
  return {
    name: [group.name, ...group.with].join(" with "),
    confidence,
    sure: why.join(": "),
    places: group.places.slice(0, MAX_PLACES).map((cause) => ({
      ...placeOf(pathOf(cause), cause.offset),
      a: cause.evidence.a.toWellFormed(),
      b: cause.evidence.b.toWellFormed(),
    })),
    morePlaces: Math.max(0, group.places.length - MAX_PLACES),
    commands: group.commands.slice(0, MAX_COMMANDS).map(commandOf),
    remedies: [...group.remedies],
    tried: [...group.tried],
    consequences: group.consequences.slice(0, MAX_CONSEQUENCES).map((cause) => placeOf(pathOf(cause), cause.offset)),
    moreConsequences: Math.max(0, group.consequences.length - MAX_CONSEQUENCES),
  };
}

function commandOf({ argv, directory, file, parents, script }: Writer): CheckCause["commands"][number] {
  return {
    typed: asTyped({ argv }).toWellFormed(),
    directory: directory.toWellFormed(),
    file: file.toWellFormed(),
    parents: parents.map((parent) => parent.toWellFormed()),
    ...(script === undefined
      ? {}
      : { script: { path: script.path.toWellFormed(), line: script.line, text: script.text.toWellFormed() } }),
  };
}

const MEBIBYTE = 1 << 20;

const optional = (value: number | string | undefined): string => (value === undefined ? "" : String(value));

/** The worlds' aspects; those that no world sets are left out. */
function worldRows(runs: readonly WorldRun[]): CheckHead["worlds"]["rows"] {
  const row = (what: string, value: (run: WorldRun) => string): CheckHead["worlds"]["rows"] => {
    const values = runs.map((run) => value(run).toWellFormed());
    return values.every((one) => one === "") ? [] : [{ what, values }];
  };
  return [
    ...row(
      "build",
      ({ failure, milliseconds }) =>
        `${failure === undefined ? "built" : "failed"} in ${(milliseconds / 1000).toFixed(1)} s`,
    ),
    ...row("began", ({ times }) => rfc3339(times.start)),
    ...row("clock", ({ world }) => (world.clockOffset === 0 ? "real" : `+${world.clockOffset} s`)),
    ...row("clock held at", ({ world }) => optional(world.clockHeld)),
    ...row("build path", ({ world }) => world.buildPath),
    ...row("host name", ({ world }) => world.hostname),
    ...row("user", ({ world: { user } }) => `${user.name} ${user.uid}:${user.gid}, ${user.home}`),
    ...row("time zone", ({ world }) => world.timezone),
    ...row("locale", ({ world }) => world.locale),
    ...row("umask", ({ world }) => world.umask.toString(8).padStart(4, "0")),
    ...row("CPUs", ({ world }) => optional(world.cpus ?? "all")),
    ...row("folders list", ({ world }) => world.directoryOrder),
    ...row("address space", ({ world }) => (world.aslr ? "random" : "fixed")),
    ...row("kernel", ({ world }) => optional(world.kernel)),
    ...row("first process", ({ world }) => optional(world.firstPid)),
    ...row("randomness seeded", ({ world }) => optional(world.random)),
    ...row("delays seeded", ({ world }) => optional(world.schedule)),
    ...row("memory shown", ({ world }) =>
      world.memoryShown === undefined ? "" : `${Math.round(world.memoryShown / MEBIBYTE)} MiB`,
    ),
    ...row("machine", ({ world }) =>
      world.machine === undefined ? "" : `virtual, ${world.machine.processor} processor`,
    ),
    ...row("file system", ({ world }) => optional(world.fileSystem)),
    ...row("version control", ({ world }) => optional(world.vcs)),
    ...row("environment", ({ world }) =>
      Object.entries(world.environment)
        .map(([name, value]) => `${name}=${value}`)
        .join(" "),
    ),
    ...row("peak memory", ({ peakMemory }) =>
      peakMemory === undefined ? "" : `${Math.round(peakMemory / MEBIBYTE)} MiB`,
    ),
  ];
}
