/**
 * Whether an artifact may be used: named checks in order, over evidence that
 * was handed in. Pure and offline: no clock but `now`, no network, no files.
 *
 * Monotone: evidence is only ever needed, never held against an artifact, so
 * that nothing is gained by hiding a bundle. A bundle that is broken, signed by
 * a stranger or about something else is set aside, as if it were not there; it
 * is named in the decision. There is no weaker evidence to fall back to.
 */
import { readReproduction } from "../attest/read.ts";
import type { ReadStatement } from "../attest/read.ts";
import { parseBundle } from "../attest/bundle.ts";
import { CYCLONEDX_BOM, PROVENANCE_V1, REPRODUCTION_V1 } from "../attest/statement.ts";
import { rfc3339 } from "../clock.ts";
import { type Digest, digestOf, hexOf, isDigest } from "../digest.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { canonicalJson, type Json } from "../json.ts";
import type { Advisory } from "./advisories.ts";
import type { Check, Decision, Facts, Reason, SetAside } from "./decision.ts";
import {
  checkAge,
  checkComponents,
  checkCompleteness,
  checkEnvironment,
  checkGrade,
  checkLevel,
  checkTag,
  judgedProvenance,
  type JudgedProvenance,
  operatorsOf,
  purlsOf,
  vulnerable,
} from "./demands.ts";
import { DIGEST_HINT, HINTS } from "./hints.ts";
import type { Policy } from "./policy.ts";
import type { CompiledRule, RuleFacts } from "./rules.ts";
import { checkInclusion, checkSignature, type Inclusion } from "./signature.ts";
import type { AcceptedSigner, CertifiedStatement, Trust } from "./trust.ts";
import {
  checkBuilder,
  checkCanonical,
  checkReproduction,
  checkSbom,
  checkSource,
  checkSubject,
  count,
  failureOf,
  refused,
} from "./statement-checks.ts";
import { Witnessing } from "./witnessing.ts";

const MAX_BUNDLES = 256;
/** Provenances, and SBOMs, that rules are tried on. */
const MAX_JUDGED = 8;

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
interface Accepted extends ReadStatement {
  key: AcceptedSigner;
  origin: string;
  logged: Inclusion;
}

/** Evidence on its way through the checks. */
interface Evidence<T> {
  bundle: number;
  value: T;
}

/** The decision, with a reason for every check made. Throws only for a mistake of the caller's, never for evidence. */
export function verify(request: VerifyRequest): Decision {
  return new Verification(request).run();
}

class Verification {
  readonly #request: VerifyRequest;
  readonly #reasons: Reason[] = [];
  readonly #setAside: SetAside[] = [];
  readonly #facts: Facts;
  readonly #witnessing: Witnessing;

  constructor(request: VerifyRequest) {
    this.#request = request;
    const { artifact, policy, trust, now } = request;
    this.#witnessing = new Witnessing(trust.witnesses ?? [], policy.quorum?.witnesses ?? 0, now);
    this.#facts = {
      digest: artifact.digest,
      ...(artifact.name === undefined ? {} : { name: artifact.name }),
      signedBy: [],
      rules: rulesDigest(policy, trust, request.advisories?.digest),
    };
  }

  run(): Decision {
    const statements = this.#authenticate();
    const enough = statements === undefined ? undefined : this.#quorum(statements);
    const ok = enough !== undefined && this.#judge(enough);
    return { ok, reasons: this.#reasons, setAside: this.#setAside, facts: this.#facts };
  }

  /** Digest, bundle, signature, subject, log: what is left is about this artifact and signed by someone trusted. */
  #authenticate(): Evidence<Accepted>[] | undefined {
    const { artifact, bundles, trust } = this.#request;
    if (!isDigest(artifact.digest)) {
      return this.#deny("digest", `not a digest: ${JSON.stringify(artifact.digest.slice(0, 100))}`, DIGEST_HINT);
    }
    this.#allow("digest", `${artifact.name ?? "the artifact"} is ${artifact.digest}`);
    if (bundles.length === 0) return this.#deny("bundle", `there is no bundle for ${artifact.digest}`, HINTS.bundle);
    if (bundles.length > MAX_BUNDLES) {
      return this.#deny(
        "bundle",
        `${bundles.length} bundles are over ${MAX_BUNDLES}`,
        "hand in those of this artifact only",
      );
    }
    const all = bundles.map((value, bundle) => ({ bundle, value }));
    if (trust.identities === undefined) return this.#signedWithKeys(all, true);
    if (this.#expired()) return undefined;
    const { certified, others, reason } = this.#certified(all, trust.identities);
    if (certified.length === 0 && others.length === 0) {
      return this.#deny(reason?.check ?? "bundle", reason?.message ?? "", reason?.hint ?? HINTS.bundle);
    }
    const keyed = others.length === 0 ? [] : this.#signedWithKeys(others, certified.length === 0);
    return certified.length === 0 ? keyed : [...certified, ...(keyed ?? [])];
  }

  /** Bundles that are signed with a certificate, each judged by itself; what nobody may have signed is set aside. */
  #certified(
    all: readonly Evidence<Uint8Array>[],
    identities: NonNullable<Trust["identities"]>,
  ): { certified: Evidence<Accepted>[]; others: Evidence<Uint8Array>[]; reason: Reason | undefined } {
    const digest = this.#request.artifact.digest as Digest;
    const certified: Evidence<Accepted>[] = [];
    const others: Evidence<Uint8Array>[] = [];
    let reason: Reason | undefined;
    for (const item of all) {
      const judged = identities.judge(item.value, digest);
      const last = judged?.reasons.at(-1);
      if (judged === undefined) others.push(item);
      else if (judged.statement !== undefined) {
        if (certified.length === 0) this.#reasons.push(...judged.reasons.filter(({ check }) => check !== "digest"));
        this.#factsOf(judged.statement);
        const { statement, key, logged } = judged.statement;
        certified.push({ bundle: item.bundle, value: { ...statement, key, origin: logged.origin, logged } });
      } else if (last !== undefined) {
        this.#setAside.push({ bundle: item.bundle, check: last.check, message: last.message });
        reason ??= { ...last, hint: HINTS[last.check] };
      }
    }
    return { certified, others, reason };
  }

  #factsOf({ key, identity, signedAt, logged }: CertifiedStatement): void {
    const { signedBy } = this.#facts;
    this.#facts.identity ??= identity;
    this.#facts.signedAt ??= rfc3339(signedAt);
    const { origin, index, treeSize } = logged;
    this.#facts.log ??= { origin, index, ...(treeSize === 0 ? {} : { treeSize }) };
    if (!signedBy.some(({ name }) => name === key.name)) signedBy.push({ keyId: key.key.keyId, name: key.name });
  }

  #expired(): boolean {
    const { trust, now } = this.#request;
    if (trust.expires === undefined || trust.expires > now) return false;
    this.#deny("signature", "the list of trusted keys and logs has expired", "fetch the current list");
    return true;
  }

  /** Of several kinds of evidence one may be enough: then nothing is denied for want of this. */
  #signedWithKeys(bundles: Evidence<Uint8Array>[], needed: boolean): Evidence<Accepted>[] | undefined {
    const { artifact, trust, now } = this.#request;
    const parsed = this.#keep("bundle", bundles, parseBundle, needed);
    if (parsed === undefined) return undefined;
    if (needed) this.#allow("bundle", `${count(parsed.length, "bundle")} read`);
    if (this.#expired()) return undefined;
    const signed = this.#keep(
      "signature",
      parsed,
      (bundle) => ({
        bundle,
        ...checkSignature(bundle, trust, now, this.#witnessing),
      }),
      needed,
    );
    if (signed === undefined) return undefined;
    const names = [...new Set(signed.map(({ value }) => value.key.name))];
    if (needed) this.#allow("signature", `signed by ${names.join(", ")}`);

    const about = this.#keep(
      "subject",
      signed,
      (item) => ({
        ...item,
        statement: checkSubject(item.bundle, hexOf(artifact.digest as `sha256:${string}`)),
      }),
      needed,
    );
    if (about === undefined) return undefined;
    if (needed) this.#allow("subject", `${count(about.length, "statement")} about this digest`);

    const logged = this.#keep(
      "log",
      about,
      (item) => ({
        ...item,
        logged: checkInclusion(item.bundle, item.key, item.encoding, trust),
      }),
      needed,
    );
    if (logged === undefined) return undefined;
    const [first] = logged;
    if (needed && first !== undefined) {
      const { origin, index, treeSize } = first.value.logged;
      this.#facts.log = { origin, index, treeSize };
      this.#allow("log", `in the log ${origin} at index ${index} of ${treeSize}`);
    }
    for (const { value } of logged) {
      const { keyId } = value.key.key;
      if (!this.#facts.signedBy.some((signer) => signer.keyId === keyId)) {
        this.#facts.signedBy.push({ keyId, name: value.key.name });
      }
    }
    return logged.map(({ bundle, value }) => {
      const { key, logged: place, statement } = value;
      return { bundle, value: { ...statement, key, origin: place.origin, logged: place } };
    });
  }

  /** Statements whose checkpoints enough witnesses cosigned, and of those the ones that are so in enough logs. */
  #quorum(statements: Evidence<Accepted>[]): Evidence<Accepted>[] | undefined {
    const { logs = 1, witnesses = 0 } = this.#request.policy.quorum ?? {};
    if (logs <= 1 && witnesses === 0) return statements;
    const witnessed =
      witnesses === 0
        ? statements
        : this.#keep("quorum", statements, (statement) => {
            this.#witnessing.of(statement.logged);
            return statement;
          });
    const kept = this.#keep(
      "quorum",
      witnessed ?? [],
      (statement) => {
        const same = (witnessed ?? []).filter(({ value }) => value.digest === statement.digest);
        const origins = new Set(same.map(({ value }) => value.origin));
        if (origins.size < logs) throw refused(`a statement is in ${count(origins.size, "log")}; ${logs} are needed`);
        return statement;
      },
      witnessed !== undefined,
    );
    const [first] = kept ?? [];
    if (first === undefined) return undefined;
    let by = "";
    if (witnesses > 0) {
      const { cosignedBy, at = 0 } = this.#witnessing.of(first.value.logged);
      const names = cosignedBy.map(({ name }) => name);
      this.#facts.witnessed = { by: names, at: rfc3339(at) };
      by = `; its tree was there by ${this.#facts.witnessed.at}, say ${names.join(", ")}`;
    }
    this.#allow("quorum", `in ${count(logs, "log")}${by}`);
    return kept;
  }

  /** What the statements say, each against what is demanded of it. */
  #judge(statements: Evidence<Accepted>[]): boolean {
    const provenance = this.#judgeProvenance(statements);
    if (provenance === undefined) return false;
    const sbom = this.#judgeSbom(statements);
    if (sbom === false || !this.#judgeVulnerable(statements)) return false;
    const agreed = this.#judgeReproduction(statements);
    return agreed !== false && this.#judgeRules(provenance, sbom, agreed);
  }

  /** Builder, source and all that is demanded of a build: of one provenance. */
  #judgeProvenance(statements: Evidence<Accepted>[]): JudgedProvenance[] | undefined {
    const { policy, now } = this.#request;
    const found = statements.filter(({ value }) => value.predicateType === PROVENANCE_V1);
    if (found.length === 0)
      return this.#deny("builder", "no SLSA provenance v1 among the accepted statements", HINTS.builder);
    type Test = [
      demanded: boolean,
      check: Check,
      test: (one: JudgedProvenance) => JudgedProvenance,
      said: (one: JudgedProvenance) => string,
    ];
    const { environments = [], maximumAge = "" } = policy;
    const tests: Test[] = [
      [true, "builder", (one) => checkBuilder(one, policy), (one) => `built by ${one.builder}`],
      [true, "source", (one) => checkSource(one, policy), (one) => `built from ${one.source.uri}`],
      [policy.requireSignedTag === true, "tag", checkTag, (one) => `from the signed tag ${one.source.ref}`],
      [policy.requireCanonical, "canonical", checkCanonical, () => "a canonical build"],
      [
        (policy.minimumLevel ?? 0) > 0,
        "level",
        (one) => checkLevel(one, policy),
        () => `of SLSA level ${policy.minimumLevel} or above`,
      ],
      [
        environments.length > 0,
        "environment",
        (one) => checkEnvironment(one, environments),
        (one) => `in the environment ${one.environment}`,
      ],
      [maximumAge !== "", "age", (one) => checkAge(one, maximumAge, now), (one) => `finished at ${one.finishedOn}`],
    ];
    let left: Evidence<JudgedProvenance>[] | undefined;
    for (const [demanded, check, test, said] of tests) {
      if (!demanded) continue;
      left =
        left === undefined
          ? this.#keep(check, found, ({ predicate }) => test(judgedProvenance(predicate)))
          : this.#keep(check, left, test);
      const [first] = left ?? [];
      if (first === undefined) return undefined;
      this.#allow(check, said(first.value));
    }
    const [accepted] = left ?? [];
    if (accepted === undefined) return undefined;
    const { builder, invocationId, source, startedOn, finishedOn, canonical } = accepted.value;
    Object.assign(this.#facts, { builder, invocationId, source, startedOn, finishedOn, canonical });
    return left?.map(({ value }) => value);
  }

  /** The SBOMs that meet all demands, none where none is needed, false where that denies. */
  #judgeSbom(statements: Evidence<Accepted>[]): ReadStatement[] | false {
    const { policy } = this.#request;
    const { minimumCompleteness = 0, forbiddenComponents = [] } = policy;
    const found = statements.filter(({ value }) => value.predicateType === CYCLONEDX_BOM);
    const needed = policy.requireSbom || minimumCompleteness > 0 || forbiddenComponents.length > 0;
    if (found.length === 0) {
      if (!needed) return [];
      this.#deny("sbom", "no CycloneDX SBOM among the accepted statements", HINTS.sbom);
      return false;
    }
    const boms = this.#keep(
      "sbom",
      found,
      (statement) => {
        const said = checkSbom(statement);
        if (minimumCompleteness > 0) checkCompleteness(statement, minimumCompleteness);
        return { said, statement };
      },
      needed,
    );
    if (boms === undefined) return needed ? false : [];
    const [first] = boms;
    if (first === undefined) return false;
    this.#allow(
      "sbom",
      `CycloneDX ${first.value.said.specVersion} with ${count(first.value.said.components, "component")}`,
    );
    const clean =
      forbiddenComponents.length === 0
        ? boms
        : this.#keep("components", boms, (bom) => {
            checkComponents(bom.statement, forbiddenComponents);
            return bom;
          });
    const [bom] = clean ?? [];
    if (bom === undefined) return false;
    if (forbiddenComponents.length > 0) this.#allow("components", "no component is forbidden");
    this.#facts.sbom = bom.value.said;
    return (clean ?? []).map(({ value }) => value.statement);
  }

  /** The one demand that evidence is held against the artifact for: in whichever SBOM it shows. */
  #judgeVulnerable(statements: Evidence<Accepted>[]): boolean {
    const { policy, advisories } = this.#request;
    if (policy.denyVulnerable !== true) return true;
    const boms = statements.filter(({ value }) => value.predicateType === CYCLONEDX_BOM).map(({ value }) => value);
    const found =
      advisories === undefined
        ? "the policy denies vulnerable components, and no advisories were handed in"
        : boms.length === 0
          ? "no CycloneDX SBOM says what the components are"
          : vulnerable(boms, advisories.list);
    if (found !== undefined) {
      const hint = advisories === undefined ? "hand in OSV advisories by --advisories" : HINTS.vulnerable;
      this.#deny("vulnerable", found, hint);
      return false;
    }
    this.#allow("vulnerable", "no component is affected by the advisories handed in");
    return true;
  }

  /** The operators that agree; false where it is denied. */
  #judgeReproduction(statements: Evidence<Accepted>[]): { grade: string; operators: string[] } | false {
    const { artifact, policy } = this.#request;
    const { minimumGrade = "partial", rebuilders } = policy;
    const needed = policy.requireReproduced || policy.minimumGrade !== undefined || rebuilders !== undefined;
    const found = statements.filter(({ value }) => value.predicateType === REPRODUCTION_V1);
    if (found.length === 0) {
      if (!needed) return { grade: "", operators: [] };
      this.#deny("reproduced", "no account of a build in two worlds among the accepted statements", HINTS.reproduced);
      return false;
    }
    const digest = artifact.digest.slice("sha256:".length);
    const accounts = this.#keep(
      "reproduced",
      found,
      (statement) => {
        const account = checkReproduction(readReproduction(statement.predicate), digest);
        return { account: checkGrade(account, minimumGrade), key: statement.key };
      },
      needed,
    );
    const [first] = accounts ?? [];
    if (accounts === undefined || first === undefined) return needed ? false : { grade: "", operators: [] };
    const { verdict, grade, worlds, lacks } = first.value.account;
    const names = worlds.map(({ name }) => name);
    this.#facts.reproduced = { verdict, grade, worlds: names, lacks };
    this.#allow("reproduced", `the same bytes in the worlds ${names.join(" and ")} (${grade})`);
    const operators =
      rebuilders === undefined
        ? []
        : operatorsOf(
            accounts.map(({ value }) => value.key.listed),
            rebuilders,
          );
    if (rebuilders !== undefined && operators.length < rebuilders.threshold) {
      const who = operators.length === 0 ? "no operator" : operators.join(", ");
      this.#deny(
        "rebuilders",
        `${who} gave these bytes; ${rebuilders.threshold} of ${rebuilders.operators.length} are needed`,
        HINTS.rebuilders,
      );
      return false;
    }
    if (rebuilders !== undefined) this.#allow("rebuilders", `rebuilt by ${operators.join(", ")}`);
    return { grade, operators };
  }

  /** All rules must hold of one provenance and one SBOM; which ones are there besides is no matter. */
  #judgeRules(
    provenances: readonly JudgedProvenance[],
    sboms: readonly ReadStatement[],
    agreed: { grade: string; operators: string[] },
  ): boolean {
    const { policy, rules } = this.#request;
    const wanted = policy.rules ?? [];
    if (wanted.length === 0) return true;
    if (rules?.length !== wanted.length) {
      this.#deny("rule", "the policy's rules were not loaded", "this is a mistake of bitforbit's caller");
      return false;
    }
    const none: ReadStatement | undefined = undefined;
    let first: string | undefined;
    for (const provenance of provenances.slice(0, MAX_JUDGED)) {
      for (const sbom of sboms.length === 0 ? [none] : sboms.slice(0, MAX_JUDGED)) {
        const why = failureOf(rules, this.#ruleFacts(provenance, sbom, agreed));
        if (why === undefined) {
          this.#allow("rule", `${count(wanted.length, "rule")} of the policy's own`);
          return true;
        }
        first ??= why;
      }
    }
    this.#deny("rule", first ?? "there is nothing to judge", HINTS.rule);
    return false;
  }

  #ruleFacts(
    provenance: JudgedProvenance,
    sbom: ReadStatement | undefined,
    agreed: { grade: string; operators: string[] },
  ): RuleFacts {
    const { artifact, now } = this.#request;
    const { uri, ref = "", digest } = provenance.source;
    return {
      artifact: { digest: artifact.digest, name: artifact.name ?? "" },
      builder: provenance.builder,
      canonical: provenance.canonical,
      environment: provenance.environment,
      source: { uri, ref, commit: digest["gitCommit"] ?? "" },
      signers: this.#facts.signedBy.map(({ name }) => name),
      log: this.#facts.log?.origin ?? "",
      ageDays: Math.floor((now - Date.parse(provenance.finishedOn)) / 86_400_000) || 0,
      components: sbom === undefined ? [] : purlsOf(sbom.predicate),
      grade: agreed.grade,
      rebuilders: agreed.operators,
    };
  }

  /** Those that pass `test`; the others are set aside. When none pass and one was needed, the check fails. */
  #keep<T, U>(check: Check, items: Evidence<T>[], test: (value: T) => U, needed = true): Evidence<U>[] | undefined {
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
        this.#setAside.push({ bundle, check, message: messageOf(error) });
      }
    }
    if (kept.length > 0) return kept;
    const distinct = [...new Set(messages)];
    if (needed) this.#deny(check, distinct.slice(0, 4).join("; "), hint ?? HINTS[check]);
    return undefined;
  }

  #allow(check: Check, message: string): void {
    this.#reasons.push({ check, ok: true, message });
  }

  #deny(check: Check, message: string, hint: string): undefined {
    this.#reasons.push({ check, ok: false, message, hint });
  }
}

/** One policy judges many artifacts. */
const digests = new WeakMap<Policy, Map<string, Digest>>();

/** Digest of all that decides besides evidence and time: the key under which a decision may be cached. */
export function rulesDigest(policy: Policy, trust: Trust, advisories = ""): Digest {
  const known = digests.get(policy) ?? new Map<string, Digest>();
  const name = `${trust.digest} ${advisories}`;
  const found = known.get(name);
  if (found !== undefined) return found;
  const all = { policy: JSON.parse(JSON.stringify(policy)) as Json, trust: trust.digest, advisories };
  const digest = digestOf(canonicalJson(all));
  digests.set(policy, known.set(name, digest));
  return digest;
}
