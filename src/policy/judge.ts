/** What accepted statements say, each against what the policy demands of it. */
import { readReproduction } from "../attest/read.ts";
import type { ReadStatement } from "../attest/read.ts";
import { CYCLONEDX_BOM, PROVENANCE_V1, REPRODUCTION_V1 } from "../attest/statement.ts";
import type { Check } from "./decision.ts";
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
import type { Accepted, Evidence, Hearing } from "./hearing.ts";
import { HINTS } from "./hints.ts";
import type { RuleFacts } from "./rules.ts";
import {
  checkBuilder,
  checkCanonical,
  checkReproduction,
  checkSbom,
  checkSource,
  count,
  failureOf,
} from "./statement-checks.ts";

/** Provenances, and SBOMs, that rules are tried on. */
const MAX_JUDGED = 8;

/** What the statements say, each against what is demanded of it. */
export function judge(hearing: Hearing, statements: Evidence<Accepted>[]): boolean {
  const provenance = judgeProvenance(hearing, statements);
  if (provenance === undefined) return false;
  const sbom = judgeSbom(hearing, statements);
  if (sbom === false || !judgeVulnerable(hearing, statements)) return false;
  const agreed = judgeReproduction(hearing, statements);
  return agreed !== false && judgeRules(hearing, provenance, sbom, agreed);
}

/** Builder, source and all that is demanded of a build: of one provenance. */
function judgeProvenance(hearing: Hearing, statements: Evidence<Accepted>[]): JudgedProvenance[] | undefined {
  const { policy, now } = hearing.request;
  const found = statements.filter(({ value }) => value.predicateType === PROVENANCE_V1);
  if (found.length === 0)
    return hearing.deny("builder", "no SLSA provenance v1 among the accepted statements", HINTS.builder);
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
        ? hearing.keep(check, found, ({ predicate }) => test(judgedProvenance(predicate)))
        : hearing.keep(check, left, test);
    const [first] = left ?? [];
    if (first === undefined) return undefined;
    hearing.allow(check, said(first.value));
  }
  const [accepted] = left ?? [];
  if (accepted === undefined) return undefined;
  const { builder, invocationId, source, startedOn, finishedOn, canonical } = accepted.value;
  Object.assign(hearing.facts, { builder, invocationId, source, startedOn, finishedOn, canonical });
  return left?.map(({ value }) => value);
}

/** The SBOMs that meet all demands, none where none is needed, false where that denies. */
function judgeSbom(hearing: Hearing, statements: Evidence<Accepted>[]): ReadStatement[] | false {
  const { policy } = hearing.request;
  const { minimumCompleteness = 0, forbiddenComponents = [] } = policy;
  const found = statements.filter(({ value }) => value.predicateType === CYCLONEDX_BOM);
  const needed = policy.requireSbom || minimumCompleteness > 0 || forbiddenComponents.length > 0;
  if (found.length === 0) {
    if (!needed) return [];
    hearing.deny("sbom", "no CycloneDX SBOM among the accepted statements", HINTS.sbom);
    return false;
  }
  const boms = hearing.keep(
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
  hearing.allow(
    "sbom",
    `CycloneDX ${first.value.said.specVersion} with ${count(first.value.said.components, "component")}`,
  );
  const clean =
    forbiddenComponents.length === 0
      ? boms
      : hearing.keep("components", boms, (bom) => {
          checkComponents(bom.statement, forbiddenComponents);
          return bom;
        });
  const [bom] = clean ?? [];
  if (bom === undefined) return false;
  if (forbiddenComponents.length > 0) hearing.allow("components", "no component is forbidden");
  hearing.facts.sbom = bom.value.said;
  return (clean ?? []).map(({ value }) => value.statement);
}

/** The one demand that evidence is held against the artifact for: in whichever SBOM it shows. */
function judgeVulnerable(hearing: Hearing, statements: Evidence<Accepted>[]): boolean {
  const { policy, advisories } = hearing.request;
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
    hearing.deny("vulnerable", found, hint);
    return false;
  }
  hearing.allow("vulnerable", "no component is affected by the advisories handed in");
  return true;
}

/** The operators that agree; false where it is denied. */
function judgeReproduction(
  hearing: Hearing,
  statements: Evidence<Accepted>[],
): { grade: string; operators: string[] } | false {
  const { artifact, policy } = hearing.request;
  const { minimumGrade = "partial", rebuilders } = policy;
  const needed = policy.requireReproduced || policy.minimumGrade !== undefined || rebuilders !== undefined;
  const found = statements.filter(({ value }) => value.predicateType === REPRODUCTION_V1);
  if (found.length === 0) {
    if (!needed) return { grade: "", operators: [] };
    hearing.deny("reproduced", "no account of a build in two worlds among the accepted statements", HINTS.reproduced);
    return false;
  }
  const digest = artifact.digest.slice("sha256:".length);
  const accounts = hearing.keep(
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
  hearing.facts.reproduced = { verdict, grade, worlds: names, lacks };
  hearing.allow("reproduced", `the same bytes in the worlds ${names.join(" and ")} (${grade})`);
  const operators =
    rebuilders === undefined
      ? []
      : operatorsOf(
          accounts.map(({ value }) => value.key.listed),
          rebuilders,
        );
  if (rebuilders !== undefined && operators.length < rebuilders.threshold) {
    const who = operators.length === 0 ? "no operator" : operators.join(", ");
    hearing.deny(
      "rebuilders",
      `${who} gave these bytes; ${rebuilders.threshold} of ${rebuilders.operators.length} are needed`,
      HINTS.rebuilders,
    );
    return false;
  }
  if (rebuilders !== undefined) hearing.allow("rebuilders", `rebuilt by ${operators.join(", ")}`);
  return { grade, operators };
}

/** All rules must hold of one provenance and one SBOM; which ones are there besides is no matter. */
function judgeRules(
  hearing: Hearing,
  provenances: readonly JudgedProvenance[],
  sboms: readonly ReadStatement[],
  agreed: { grade: string; operators: string[] },
): boolean {
  const { policy, rules } = hearing.request;
  const wanted = policy.rules ?? [];
  if (wanted.length === 0) return true;
  if (rules?.length !== wanted.length) {
    hearing.deny("rule", "the policy's rules were not loaded", "this is a mistake of bitforbit's caller");
    return false;
  }
  const none: ReadStatement | undefined = undefined;
  let first: string | undefined;
  for (const provenance of provenances.slice(0, MAX_JUDGED)) {
    for (const sbom of sboms.length === 0 ? [none] : sboms.slice(0, MAX_JUDGED)) {
      const why = failureOf(rules, ruleFacts(hearing, provenance, sbom, agreed));
      if (why === undefined) {
        hearing.allow("rule", `${count(wanted.length, "rule")} of the policy's own`);
        return true;
      }
      first ??= why;
    }
  }
  hearing.deny("rule", first ?? "there is nothing to judge", HINTS.rule);
  return false;
}

function ruleFacts(
  hearing: Hearing,
  provenance: JudgedProvenance,
  sbom: ReadStatement | undefined,
  agreed: { grade: string; operators: string[] },
): RuleFacts {
  const { artifact, now } = hearing.request;
  const { uri, ref = "", digest } = provenance.source;
  return {
    artifact: { digest: artifact.digest, name: artifact.name ?? "" },
    builder: provenance.builder,
    canonical: provenance.canonical,
    environment: provenance.environment,
    source: { uri, ref, commit: digest["gitCommit"] ?? "" },
    signers: hearing.facts.signedBy.map(({ name }) => name),
    log: hearing.facts.log?.origin ?? "",
    ageDays: Math.floor((now - Date.parse(provenance.finishedOn)) / 86_400_000) || 0,
    components: sbom === undefined ? [] : purlsOf(sbom.predicate),
    grade: agreed.grade,
    rebuilders: agreed.operators,
  };
}
