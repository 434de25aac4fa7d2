/**
 * Decisions remembered: under the artifact's digest and the digest of all rules
 * (policy, keys, logs, roots), so that other rules or another artifact never
 * find them. Only what was allowed is kept, since more evidence may turn a
 * denial; and only for as long as every key and list that it hangs on counts.
 */
import type { Decision } from "./decision.ts";

const MOST = 65_536;

export class DecisionCache {
  readonly #known = new Map<string, { decision: Decision; until: number }>();
  readonly #most: number;

  constructor(most: number = MOST) {
    this.#most = most;
  }

  /** `rules`: `decision.facts.rules` of the rules that hold now; `now`: milliseconds since 1970. */
  find(digest: string, rules: string, now: number): Decision | undefined {
    const key = `${digest} ${rules}`;
    const found = this.#known.get(key);
    if (found === undefined) return undefined;
    if (now < found.until) return found.decision;
    this.#known.delete(key);
    return undefined;
  }

  /** `until`: when the first of the keys and lists that the decision hangs on ends; milliseconds since 1970. */
  keep(decision: Decision, until: number): void {
    if (!decision.ok) return;
    const key = `${decision.facts.digest} ${decision.facts.rules}`;
    const oldest = this.#known.size < this.#most ? undefined : this.#known.keys().next().value;
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, { decision, until });
  }
}
