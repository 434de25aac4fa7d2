import type { Cause, Writer } from "../explain/cause.ts";
import { differenceJson } from "../diff/json.ts";
import { rfc3339 } from "../clock.ts";
import type { JsonObject } from "../json.ts";
import { variations } from "../vary/worlds.ts";
import type { World } from "../world.ts";
import { environmentWords } from "../lock/environment.ts";
import type { Against } from "./against.ts";
import type { Verdict } from "./check.ts";
import type { Prepared } from "./prepare.ts";
import type { MaterialsRead } from "./reads.ts";

/** `check --json`, and the first half of `build --json`: schemas/check.schema.json. */
export function verdictDocument(prepared: Prepared, verdict: Verdict): JsonObject {
  const { recipe, source, lock } = prepared;
  const [canonical] = verdict.worlds;
  return {
    project: recipe.name,
    verdict: verdict.outcome,
    source: {
      kind: source.kind,
      uri: source.uri,
      digest: source.digest,
      treeDigest: source.treeDigest,
      dirty: source.dirty,
      ...(source.commit === undefined ? {} : { commit: source.commit }),
      ...(source.tag === undefined ? {} : { tag: source.tag.name, tagSignature: source.tag.signature }),
    },
    environment: environmentWords(lock.environment),
    materials: lock.materials.length,
    worlds: verdict.worlds.map((run) => ({
      name: run.world.name,
      startedAt: rfc3339(run.times.start),
      milliseconds: Math.round(run.milliseconds),
      differences: canonical === undefined || run === canonical ? [] : worldDifferences(canonical.world, run.world),
      ...(run.peakMemory === undefined ? {} : { peakMemoryBytes: run.peakMemory }),
      ...(run.failure === undefined ? {} : { failure: run.failure.reason, log: run.failure.tail }),
    })),
    covered: verdict.covered,
    notCovered: [...verdict.lacks, ...verdict.unasked].map(({ what, remedy, causes }) => ({ what, remedy, causes })),
    caveats: verdict.caveats,
    notCanonical: verdict.notCanonical,
    crutches: verdict.crutches,
    ...(verdict.read === undefined ? {} : { read: readDocument(verdict.read) }),
    ...(verdict.against === undefined ? {} : { against: againstDocument(verdict.against) }),
    builds: verdict.builds,
    ...(verdict.resumed === 0 ? {} : { resumed: verdict.resumed }),
    breaks: verdict.breaks,
    open: verdict.open,
    ...(verdict.agreement === undefined ? {} : { agreement: { ...verdict.agreement } }),
    outputs: verdict.outputs.map(({ path, digest, size }) => ({ path, digest, size })),
    causes: verdict.causes.map(causeDocument),
    ...(verdict.difference === undefined ? {} : { difference: differenceJson(verdict.difference) }),
  };
}

function againstDocument({ named, files, notGiven, unseen }: Against): JsonObject {
  return {
    named,
    files: files.map(({ name, digest, output, built }) => ({
      name,
      digest,
      ...(output === undefined || built === undefined ? {} : { output, built }),
    })),
    notGiven,
    ...(unseen === undefined ? {} : { unseen }),
  };
}

const MOST_PATHS = 20;

/** What was read: names in full, paths of what is not locked as far as a reader wants them. */
function readDocument(read: MaterialsRead): JsonObject {
  const { environment, dependencies, source, undeclared, doubts, tools } = read;
  return {
    environment: {
      read: environment.read.map(({ name, version, architecture }) => ({ name, version, architecture })),
      unread: environment.unread.map(({ name, version, architecture }) => ({ name, version, architecture })),
      files: environment.files.length,
    },
    dependencies: { read: dependencies.read, unread: dependencies.unread },
    source: { read: source.read.length, unread: source.unread.length },
    undeclared: undeclared.map(({ package: owner, paths }) => ({
      ...(owner === undefined ? {} : { package: `${owner.name} ${owner.version}` }),
      files: paths.length,
      paths: paths.slice(0, MOST_PATHS),
    })),
    doubts,
    tools: tools.map(({ name, role, path, version, sha256 }) => ({ name, role, path, version, sha256 })),
  };
}

/** How `b` differs from `a`, a line for each variation. */
export function worldDifferences(a: World, b: World): string[] {
  return variations.flatMap((variation) => {
    const difference = variation.describe(a, b);
    return difference === "" ? [] : [`${variation.name}: ${difference}`];
  });
}

export function causeDocument({ offset, evidence, command, ...cause }: Cause): JsonObject {
  return {
    ...cause,
    evidence: { ...evidence },
    ...(offset === undefined ? {} : { offset }),
    ...(command === undefined ? {} : { command: writerDocument(command) }),
  };
}

function writerDocument({ script, ...writer }: Writer): JsonObject {
  return { ...writer, ...(script === undefined ? {} : { script: { ...script } }) };
}
