/** What denied: the last reason of a decision, which must say why and what can be done. */
import { strict as assert } from "node:assert";
import type { Check, Decision } from "../src/policy/decision.ts";

export function denial(decision: Decision): { check: Check; message: string; hint?: string } {
  const last = decision.reasons.at(-1) ?? assert.fail("a decision without reasons");
  assert.equal(decision.ok, false, "allowed");
  assert.equal(last.ok, false);
  assert.ok(
    decision.reasons.slice(0, -1).every(({ ok }) => ok),
    "a reason after the one that denied",
  );
  assert.ok((last.hint ?? "").length > 0, "a denial without a hint");
  return last;
}
