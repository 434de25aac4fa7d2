import type { JsonObject } from "../json.ts";
import type { Verdict } from "./check.ts";
import { causeDocument } from "./document.ts";
import type { Fixed, Trial } from "./fix.ts";
import type { Prepared } from "./prepare.ts";

/** `fix --json`: schemas/fix.schema.json. `written`: paths in the working tree. */
export function fixDocument({ recipe }: Prepared, fixed: Fixed, written: readonly string[]): JsonObject {
  return {
    project: recipe.name,
    before: verdictSummary(fixed.before),
    after: verdictSummary(fixed.after),
    tried: fixed.trials.map(trialDocument),
    files: fixed.files.map(({ path }) => path),
    diff: fixed.diff,
    written: [...written],
    builds: fixed.builds,
    ...(fixed.stopped === undefined ? {} : { stopped: fixed.stopped }),
  };
}

function verdictSummary({ outcome, causes }: Verdict): JsonObject {
  return { verdict: outcome, causes: causes.map(causeDocument) };
}

function trialDocument({ cause, remedy, says, outcome, because, changes }: Trial): JsonObject {
  return {
    cause,
    remedy,
    says,
    outcome,
    helped: outcome === "helped",
    ...(because === undefined ? {} : { because }),
    changes: changes.map((change) => ({ ...change })),
  };
}
