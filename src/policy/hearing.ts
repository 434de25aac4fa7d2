/** What a decision is made of on its way: the evidence that is left, and what was found of it. */
import type { ReadStatement } from "../attest/read.ts";
import type { Digest } from "../digest.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { Advisory } from "./advisories.ts";
import type { Check, Facts, Reason, SetAside } from "./decision.ts";
import { HINTS } from "./hints.ts";
import type { Policy } from "./policy.ts";
import type { CompiledRule } from "./rules.ts";
import type { Inclusion } from "./signature.ts";
import type { AcceptedSigner, Trust } from "./trust.ts";
import { Witnessing } from "./witnessing.ts";

export interface VerifyRequest {
  /** `digest`: of the artifact's bytes, computed by the caller; `name` is for messages only. */
  artifact: { digest: string; name?: string };
  /** Bundles as they were received, in any order. */
  bundles: readonly Uint8Array[];
  policy: Policy;
  trust: Trust;
  /** Milliseconds since 1970. */
  now: number;
  /** Vulnerabilities, where the policy denies them. */
  advisories?: { list: readonly Advisory[]; digest: string };
  /** The policy's own rules, compiled; a policy that has rules denies without them. */
  rules?: readonly CompiledRule[];
}

/** A statement that was accepted, with who signed it and where it is logged. */
export interface Accepted extends ReadStatement {
  key: AcceptedSigner;
  origin: string;
  logged: Inclusion;
}

/** Evidence on its way through the checks. */
export interface Evidence<T> {
  bundle: number;
  value: T;
}

/** One artifact before its policy: each check says what it allows or why it denies, and sets aside what is of no use. */
export class Hearing {
  readonly request: VerifyRequest;
  readonly reasons: Reason[] = [];
  readonly setAside: SetAside[] = [];
  readonly facts: Facts;
  readonly witnessing: Witnessing;

  /** `rules`: digest of the policy and of who is trusted. */
  constructor(request: VerifyRequest, rules: Digest) {
    this.request = request;
    const { artifact, policy, trust, now } = request;
    this.witnessing = new Witnessing(trust.witnesses ?? [], policy.quorum?.witnesses ?? 0, now);
    this.facts = {
      digest: artifact.digest,
      ...(artifact.name === undefined ? {} : { name: artifact.name }),
      signedBy: [],
      rules,
    };
  }

  /** Those that pass `test`; the others are set aside. When none pass and one was needed, the check fails. */
  keep<T, U>(check: Check, items: Evidence<T>[], test: (value: T) => U, needed = true): Evidence<U>[] | undefined {
    const kept: Evidence<U>[] = [];
    const messages: string[] = [];
    let hint: string | undefined;
    for (const { bundle, value } of items) {
      try {
        kept.push({ bundle, value: test(value) });
      } catch (error) {
        // A mistake of ours must not pass for bad evidence.
        if (!(error instanceof BitforbitError)) throw error;
        messages.push(messageOf(error));
        hint ??= error.hint;
        this.setAside.push({ bundle, check, message: messageOf(error) });
      }
    }
    if (kept.length > 0) return kept;
    const distinct = [...new Set(messages)];
    if (needed) this.deny(check, distinct.slice(0, 4).join("; "), hint ?? HINTS[check]);
    return undefined;
  }

  allow(check: Check, message: string): void {
    this.reasons.push({ check, ok: true, message });
  }

  deny(check: Check, message: string, hint: string): undefined {
    this.reasons.push({ check, ok: false, message, hint });
  }
}
