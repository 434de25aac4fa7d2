import { causeDocument } from "./document.ts";
import type { JsonObject } from "../json.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import { environmentWords } from "../lock/environment.ts";
import type { Verdict } from "./check.ts";
import type { Prepared } from "./prepare.ts";
import { lockData, sourceData } from "./record.ts";
import type { Released } from "./release.ts";

const MOST_CAUSES = 200;
const MOST_EVIDENCE = 500;

/** What a build's events have in common. `at`: epoch milliseconds when its verdict stood. */
export interface BuildAbout {
  build: string;
  at: number;
  canonical: boolean;
}

/** The events that every build leaves, attested or not: lock, worlds, verdict. */
export function buildEvents(prepared: Prepared, verdict: Verdict, about: BuildAbout): LedgerEvent[] {
  const common = { build: about.build, project: prepared.recipe.name };
  const began = Math.min(about.at, ...verdict.worlds.map((run) => run.times.start));
  return [
    { ...common, kind: "lock", at: began, ok: true, data: lockData(prepared) },
    ...verdict.worlds.map((run): LedgerEvent => ({
      ...common,
      kind: "world",
      at: run.times.start,
      ok: run.failure === undefined,
      milliseconds: run.milliseconds,
      data: {
        world: JSON.parse(JSON.stringify(run.world)) as JsonObject,
        outcome: run.failure === undefined ? "exited" : run.failure.reason,
        ...(run.peakMemory === undefined ? {} : { peakMemory: run.peakMemory }),
      },
    })),
    {
      ...common,
      kind: "verdict",
      at: about.at,
      ok: verdict.outcome === "reproducible",
      milliseconds: Math.max(...verdict.worlds.map((run) => run.milliseconds)),
      data: verdictData(prepared, verdict, about.canonical),
    },
  ];
}

function verdictData(prepared: Prepared, verdict: Verdict, canonical: boolean): JsonObject {
  return {
    verdict: verdict.outcome,
    canonical,
    source: sourceData(prepared),
    recipe: prepared.recipeDigest,
    environment: environmentWords(prepared.lock.environment),
    outputs: verdict.outputs.map(({ path, digest, size }) => ({ path, digest, size })),
    causes: verdict.causes.slice(0, MOST_CAUSES).map((cause) => {
      const { a, b } = cause.evidence;
      return causeDocument({ ...cause, evidence: { a: a.slice(0, MOST_EVIDENCE), b: b.slice(0, MOST_EVIDENCE) } });
    }),
    lacks: verdict.lacks.map(({ what, remedy, causes }) => ({ what, remedy, causes })),
    caveats: [...verdict.caveats],
  };
}

/** A released build's whole story, in the order in which it happened. */
export function releaseEvents(
  prepared: Prepared,
  verdict: Verdict,
  released: Released,
  about: { canonical: boolean; at: number; signedIn: number },
): LedgerEvent[] {
  const { build, artifacts, bundles, sbom, log, keyId, identity } = released;
  const common = { build, project: prepared.recipe.name, at: about.at, ok: true };
  const subjects = artifacts.map(({ digest }) => digest);
  const [first] = artifacts;
  const artifact = first === undefined ? {} : { artifact: first.digest };
  return [
    ...buildEvents(prepared, verdict, { build, at: about.at, canonical: about.canonical }),
    {
      ...common,
      kind: "sbom",
      data: {
        canonical: about.canonical,
        format: "CycloneDX 1.6",
        components: sbom.components,
        complete: sbom.completeness,
        completeness: sbom.completeness,
        subjects,
      },
    },
    ...bundles.map(({ predicateType, digest }): LedgerEvent => ({
      ...common,
      ...artifact,
      kind: "attest",
      milliseconds: about.signedIn,
      data: { predicateType, digest, keyId, subjects, ...(identity === undefined ? {} : { identity }) },
    })),
    { ...common, kind: "log", data: { origin: log.origin, index: log.first, last: log.last, subjects } },
    ...artifacts.map(({ digest, path, size, manifest }): LedgerEvent => ({
      ...common,
      kind: "store",
      artifact: digest,
      data: { name: path, size, manifest },
    })),
  ];
}
