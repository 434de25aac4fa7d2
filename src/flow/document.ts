import { differenceJson } from "../diff/json.ts";
import { rfc3339 } from "../clock.ts";
import type { JsonObject } from "../json.ts";
import { variations } from "../vary/worlds.ts";
import type { World } from "../world.ts";
import { environmentWords } from "../lock/environment.ts";
import type { Verdict } from "./check.ts";
import type { Prepared } from "./prepare.ts";

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
    notCovered: verdict.lacks.map(({ what, remedy, causes }) => ({ what, remedy, causes })),
    caveats: verdict.caveats,
    outputs: verdict.outputs.map(({ path, digest, size }) => ({ path, digest, size })),
    causes: verdict.causes.map(({ offset, ...cause }) => ({
      ...cause,
      evidence: { ...cause.evidence },
      ...(offset === undefined ? {} : { offset }),
    })),
    ...(verdict.difference === undefined ? {} : { difference: differenceJson(verdict.difference) }),
  };
}

/** How `b` differs from `a`, a line for each variation. */
export function worldDifferences(a: World, b: World): string[] {
  return variations.flatMap((variation) => {
    const difference = variation.describe(a, b);
    return difference === "" ? [] : [`${variation.name}: ${difference}`];
  });
}
