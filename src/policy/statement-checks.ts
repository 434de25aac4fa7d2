/** The checks that every policy makes of single statements. Each throws `refused` with its reason. */
import { readStatement } from "../attest/read.ts";
import type { ReadReproduction, ReadStatement } from "../attest/read.ts";
import type { Bundle } from "../attest/bundle.ts";
import { BUILD_TYPE } from "../attest/statement.ts";
import { BitforbitError } from "../errors.ts";
import type { JudgedProvenance } from "./demands.ts";
import type { Policy } from "./policy.ts";
import type { CompiledRule, RuleFacts } from "./rules.ts";
import { sourceAllowed } from "./sources.ts";

export function checkSubject(bundle: Bundle, digest: string): ReadStatement {
  const statement = readStatement(bundle.payload);
  if (!statement.subjects.some(({ sha256 }) => sha256 === digest)) {
    const [first] = statement.subjects;
    throw refused(`the statement is about sha256:${first?.sha256}, not about sha256:${digest}`);
  }
  return statement;
}

export function failureOf(rules: readonly CompiledRule[], facts: RuleFacts): string | undefined {
  for (const { name, message, failure } of rules) {
    const why = failure(facts);
    if (why !== undefined) return `${message} (${name}: ${why})`;
  }
  return undefined;
}

export function checkBuilder(provenance: JudgedProvenance, policy: Policy): JudgedProvenance {
  if (provenance.buildType !== BUILD_TYPE) throw refused(`the build type ${provenance.buildType} is not known`);
  if (!policy.builders.includes(provenance.builder)) throw refused(`the builder ${provenance.builder} is not allowed`);
  return provenance;
}

export function checkSource(provenance: JudgedProvenance, policy: Policy): JudgedProvenance {
  const { uri } = provenance.source;
  if (!policy.sources.some((allowed) => sourceAllowed(uri, allowed))) throw refused(`the source ${uri} is not allowed`);
  return provenance;
}

export function checkCanonical(provenance: JudgedProvenance): JudgedProvenance {
  if (!provenance.canonical) throw refused("this was a local build, not a canonical one");
  return provenance;
}

export function checkSbom({ predicate }: ReadStatement): { specVersion: string; components: number } {
  const { bomFormat, specVersion, components } = predicate;
  if (bomFormat !== "CycloneDX" || typeof specVersion !== "string" || !Array.isArray(components)) {
    throw refused("the SBOM is not a CycloneDX document with a specVersion and components");
  }
  return { specVersion, components: components.length };
}

/** The verdict alone does not count: two worlds must each state this artifact's digest. */
export function checkReproduction(account: ReadReproduction, digest: string): ReadReproduction {
  if (account.verdict !== "reproducible") throw refused(`the build's verdict is ${account.verdict}`);
  const agreeing = account.worlds.filter(({ outputs }) => outputs.includes(digest));
  if (new Set(agreeing.map(({ name }) => name)).size < 2) {
    throw refused(`only ${count(agreeing.length, "world")} gave sha256:${digest}; two are needed`);
  }
  return { ...account, worlds: agreeing };
}

export function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}

export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
