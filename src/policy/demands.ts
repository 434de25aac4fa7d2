/**
 * What a policy may demand besides the plain ones. Each demand is a test of one
 * piece of evidence, which passes or is set aside; so more evidence never turns
 * an allowed artifact into a denied one. One demand is held against artifacts
 * and not for them: a vulnerable component, in any bill of materials, denies.
 */
import { readProvenance, type ReadProvenance, type ReadReproduction, type ReadStatement } from "../attest/read.ts";
import { BitforbitError } from "../errors.ts";
import { isObject, type Json, type JsonObject } from "../json.ts";
import { type Advisory, affectedBy } from "./advisories.ts";
import { sourceAllowed } from "./sources.ts";

/** A policy's further demands, as its file says them; what is missing is not demanded. */
export interface Demands {
  /** The source is a tag whose signature was good when it was built. */
  requireSignedTag?: boolean;
  /** SLSA build level, by what the policy says of each builder. */
  minimumLevel?: number;
  /** The level that each builder has, by its id: a builder's own word for it is worth nothing. */
  levels?: Readonly<Record<string, number>>;
  /** Environments that are allowed: `debian:bookworm`, `oci:registry.example/image*`, `host`. */
  environments?: readonly string[];
  /** Of the build: `90d`, `12h`. */
  maximumAge?: string;
  /** Of the SBOM, from 0 to 1: the share of components with version, purl and checksum. */
  minimumCompleteness?: number;
  /** Package URLs without qualifiers; a `*` may stand at the end. */
  forbiddenComponents?: readonly string[];
  /** Deny components that the advisories handed in say are vulnerable; without advisories, deny everything. */
  denyVulnerable?: boolean;
  minimumGrade?: "partial" | "full";
  /** So many operators, each by keys of its own, must each have given these bytes. */
  rebuilders?: { threshold: number; operators: readonly { name: string; keys: readonly string[] }[] };
  /** Each statement in so many logs, its checkpoints signed by so many witnesses. */
  quorum?: { logs?: number; witnesses?: number };
  /** Expressions in CEL, each of which must be true. */
  rules?: readonly { name: string; expression: string; message?: string }[];
}

/** A build's environment as a policy names it. */
export interface JudgedProvenance extends ReadProvenance {
  environment: string;
  tagSignature: string;
}

export function judgedProvenance(predicate: JsonObject): JudgedProvenance {
  const provenance = readProvenance(predicate);
  const definition = predicate["buildDefinition"];
  const internal = isObject(definition) ? definition["internalParameters"] : undefined;
  const parameters = isObject(internal) ? internal : {};
  const tag = parameters["tagSignature"];
  return {
    ...provenance,
    environment: environmentName(parameters["environment"]),
    tagSignature: typeof tag === "string" ? tag : "unknown",
  };
}

function environmentName(value: Json | undefined): string {
  if (!isObject(value)) return "unknown";
  const { type, pinned, suite, image } = value;
  // What is not pinned is the machine's own, whatever else it says.
  if (pinned !== true) return "host";
  if (type === "debian" && typeof suite === "string") return `debian:${suite}`;
  if (type === "oci" && typeof image === "string") return `oci:${image}`;
  return "unknown";
}

export function checkTag<T extends JudgedProvenance>(provenance: T): T {
  const { ref } = provenance.source;
  if (ref?.startsWith("refs/tags/") !== true) throw refused("it was not built from a tag");
  if (provenance.tagSignature !== "good") {
    throw refused(`the signature of ${ref} was ${provenance.tagSignature}, not good`);
  }
  return provenance;
}

export function checkLevel<T extends JudgedProvenance>(provenance: T, { minimumLevel = 0, levels = {} }: Demands): T {
  const level = Object.hasOwn(levels, provenance.builder) ? (levels[provenance.builder] ?? 0) : 0;
  if (level < minimumLevel) {
    throw refused(`the builder ${provenance.builder} has SLSA level ${level}; ${minimumLevel} is needed`);
  }
  return provenance;
}

export function checkEnvironment<T extends JudgedProvenance>(provenance: T, allowed: readonly string[]): T {
  if (allowed.some((pattern) => sourceAllowed(provenance.environment, pattern))) return provenance;
  throw refused(`built in the environment ${provenance.environment}, which is not allowed`);
}

export function checkAge<T extends JudgedProvenance>(provenance: T, maximumAge: string, now: number): T {
  const finished = Date.parse(provenance.finishedOn);
  if (Number.isNaN(finished)) throw refused(`finishedOn is ${provenance.finishedOn}, no time`);
  // A build of the future says that a clock was set back, ours or its own.
  if (finished > now + CLOCK_LEEWAY) throw refused(`it was built at ${provenance.finishedOn}, which is in the future`);
  if (now - finished > durationOf(maximumAge)) {
    throw refused(`it was built at ${provenance.finishedOn}, more than ${maximumAge} ago`);
  }
  return provenance;
}

const CLOCK_LEEWAY = 300_000;
const HOUR = 3_600_000;

/** Milliseconds of `90d` or `12h`, which the policy's reader has checked. */
export function durationOf(text: string): number {
  return Number(text.slice(0, -1)) * (text.endsWith("d") ? 24 * HOUR : HOUR);
}

export function checkCompleteness({ predicate }: ReadStatement, minimum: number): void {
  const components = componentsOf(predicate);
  const wanted = components.flatMap((item) => [
    item["version"] !== undefined,
    item["purl"] !== undefined,
    item["hashes"] !== undefined || item["properties"] !== undefined,
  ]);
  if (predicate["dependencies"] === undefined) throw refused("the SBOM does not say what depends on what");
  const share = wanted.length === 0 ? 1 : wanted.filter(Boolean).length / wanted.length;
  if (share < minimum) throw refused(`the SBOM is complete to ${share.toFixed(2)}; ${minimum} is needed`);
}

export function checkComponents({ predicate }: ReadStatement, forbidden: readonly string[]): void {
  for (const purl of purlsOf(predicate)) {
    const plain = purl.split(/[?#]/)[0] ?? purl;
    const pattern = forbidden.find((one) =>
      one.endsWith("*") ? plain.startsWith(one.slice(0, -1)) : plain === one || plain.startsWith(`${one}@`),
    );
    if (pattern !== undefined) throw refused(`the component ${plain} is forbidden by ${pattern}`);
  }
}

/** The first vulnerable component, as a sentence; of any SBOM, since hiding one must not help. */
export function vulnerable(sboms: readonly ReadStatement[], advisories: readonly Advisory[]): string | undefined {
  for (const { predicate } of sboms) {
    for (const purl of purlsOf(predicate)) {
      const advisory = affectedBy(purl, advisories);
      if (advisory !== undefined) return `the component ${purl} is affected by ${advisory.id}`;
    }
  }
  return undefined;
}

export function purlsOf(predicate: JsonObject): string[] {
  return componentsOf(predicate).flatMap(({ purl }) => (typeof purl === "string" ? [purl] : []));
}

/** Components, and those that lie in components. */
function componentsOf(document: JsonObject): JsonObject[] {
  const { components } = document;
  if (!Array.isArray(components)) return [];
  return components.filter(isObject).flatMap((item) => [item, ...componentsOf(item)]);
}

const GRADES = ["partial", "full"];

export function checkGrade(account: ReadReproduction, minimum: string): ReadReproduction {
  if (GRADES.indexOf(account.grade) < GRADES.indexOf(minimum)) {
    throw refused(`the reproduction is of the grade ${account.grade}; ${minimum} is needed`);
  }
  return account;
}

/** The operators, by name, whose keys signed one of the accounts. One key of two operators counts for neither. */
export function operatorsOf(signedBy: readonly string[], { operators }: NonNullable<Demands["rebuilders"]>): string[] {
  const of = (key: string): string[] => operators.flatMap(({ name, keys }) => (keys.includes(key) ? [name] : []));
  return [...new Set(signedBy.flatMap((key) => (of(key).length === 1 ? of(key) : [])))].sort();
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}
