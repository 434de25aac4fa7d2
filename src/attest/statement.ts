/**
 * in-toto Statement v1 (in-toto/attestation, spec/v1) about artifacts, with
 * three predicates: SLSA provenance v1, a CycloneDX SBOM, and our own account
 * of a build that was made in several worlds (schemas/reproduction.schema.json).
 */
import { fromBase64, hex } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { type Digest, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { Json, JsonObject } from "../json.ts";
import type { Checksums, Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import type { Lack, World } from "../world.ts";

export const STATEMENT_V1 = "https://in-toto.io/Statement/v1";
export const PROVENANCE_V1 = "https://slsa.dev/provenance/v1";
export const CYCLONEDX_BOM = "https://cyclonedx.org/bom";
export const REPRODUCTION_V1 = "https://bitforbit.dev/reproduction/v1";
/** SLSA `buildType`: externalParameters are `source`, `recipe`, `command`, `outputs` and what the recipe adds. */
export const BUILD_TYPE = "https://bitforbit.dev/build/v1";

/** An artifact that a statement is about. */
export interface Subject {
  /** For people; nothing is decided by it. */
  name: string;
  digest: Digest;
}

export interface Statement {
  _type: typeof STATEMENT_V1;
  subject: { name: string; digest: { sha256: string } }[];
  predicateType: string;
  predicate: JsonObject;
}

/** in-toto ResourceDescriptor, the fields that we write. */
export interface SourceDescriptor {
  /** Where the source is from; policy compares it with the allowed sources. */
  uri: string;
  /** As in-toto writes digest sets: `{ gitCommit: … }` or `{ sha256: … }`, lower-case hexadecimal. */
  digest: Readonly<Record<string, string>>;
  /** `refs/tags/v1.2.3`, when the source was named so. */
  ref?: string;
}

export interface ProvenanceFacts {
  subjects: readonly Subject[];
  source: SourceDescriptor;
  /** What the user chose besides the source: recipe, command, outputs. A verifier must be able to judge each. */
  externalParameters: JsonObject;
  /** What the builder chose: environment, worlds, limits. */
  internalParameters: JsonObject;
  /** Built by the rules (clean source, locked materials, two worlds); a local build is not, and is never promoted. */
  canonical: boolean;
  materials: readonly Material[];
  builder: { id: string; version: string };
  /** Names this run; the ledger's build id. */
  invocationId: string;
  /** Milliseconds since 1970. */
  startedOn: number;
  finishedOn: number;
  byproducts?: readonly { name: string; digest: Digest; mediaType?: string }[];
}

/** SLSA provenance v1: what was built, from what, by whom. */
export function provenance(facts: ProvenanceFacts): Statement {
  const { uri, digest, ref } = facts.source;
  const source: JsonObject = { uri, digest: { ...digest }, ...(ref === undefined ? {} : { ref }) };
  return statement(facts.subjects, PROVENANCE_V1, {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: { ...facts.externalParameters, source },
      internalParameters: { ...facts.internalParameters, canonical: facts.canonical },
      resolvedDependencies: facts.materials.map(resourceDescriptor),
    },
    runDetails: {
      builder: { id: facts.builder.id, version: { bitforbit: facts.builder.version } },
      metadata: {
        invocationId: facts.invocationId,
        startedOn: rfc3339(facts.startedOn),
        finishedOn: rfc3339(facts.finishedOn),
      },
      byproducts: (facts.byproducts ?? []).map((file) => ({
        name: file.name,
        digest: { sha256: hexOf(file.digest) },
        ...(file.mediaType === undefined ? {} : { mediaType: file.mediaType }),
      })),
    },
  });
}

/** The SBOM of `subjects`: `bom` is a CycloneDX document, whole. */
export function sbomStatement(subjects: readonly Subject[], bom: JsonObject): Statement {
  if (bom["bomFormat"] !== "CycloneDX") {
    throw new BitforbitError("input", `not a CycloneDX document: bomFormat is ${JSON.stringify(bom["bomFormat"])}`);
  }
  return statement(subjects, CYCLONEDX_BOM, bom);
}

export const SPDX_DOCUMENT = "https://spdx.dev/Document/v2.3";

/** The SBOM of `subjects` as an SPDX 2.3 document, whole. */
export function spdxStatement(subjects: readonly Subject[], document: JsonObject): Statement {
  if (document["spdxVersion"] !== "SPDX-2.3") {
    throw new BitforbitError(
      "input",
      `not an SPDX 2.3 document: spdxVersion is ${JSON.stringify(document["spdxVersion"])}`,
    );
  }
  return statement(subjects, SPDX_DOCUMENT, document);
}

export type ReproductionVerdict = "reproducible" | "differs" | "failed" | "fails-in-adversarial";

export interface ReproductionFacts {
  subjects: readonly Subject[];
  /** The same as the provenance's: the build that was repeated. */
  invocationId: string;
  verdict: ReproductionVerdict;
  /** Every world that was built in, with the outputs that came of it. */
  worlds: readonly { world: World; outputs: readonly Subject[] }[];
  /** Why outputs differ, each at least `{ cause }`; empty when they do not. */
  causes: readonly JsonObject[];
  /** What this machine could not vary; then the grade is `partial`. */
  lacks: readonly Lack[];
  /** What held the build still from outside, in words; left out: nothing did. */
  crutches?: readonly string[];
}

/** That a build gave the same bytes in several worlds, or did not and why. */
export function reproductionStatement(facts: ReproductionFacts): Statement {
  return statement(facts.subjects, REPRODUCTION_V1, {
    invocationId: facts.invocationId,
    verdict: facts.verdict,
    grade: facts.lacks.length === 0 ? "full" : "partial",
    worlds: facts.worlds.map(({ world, outputs }) => ({
      name: world.name,
      parameters: worldParameters(world),
      outputs: outputs.map(({ name, digest }) => ({ name, digest: { sha256: hexOf(digest) } })),
    })),
    causes: [...facts.causes],
    lacks: facts.lacks.map(({ what, remedy, causes }) => ({ what, remedy, causes: [...causes] })),
    crutches: [...(facts.crutches ?? [])],
  });
}

function worldParameters(world: World): JsonObject {
  const { name: _, cpus, user, environment, ...rest } = world;
  return { ...rest, user: { ...user }, environment: { ...environment }, ...(cpus === undefined ? {} : { cpus }) };
}

/** An in-toto Statement v1 about `subjects`, in byte order. Throws `input` without one. */
export function statement(subjects: readonly Subject[], predicateType: string, predicate: JsonObject): Statement {
  if (subjects.length === 0) throw new BitforbitError("input", "a statement needs at least one subject");
  const subject = sortedBy(subjects, ({ name, digest }) => `${name}\0${digest}`).map(({ name, digest }) => ({
    name,
    digest: { sha256: hexOf(digest) },
  }));
  return { _type: STATEMENT_V1, subject, predicateType, predicate };
}

function resourceDescriptor(material: Material): Json {
  const uri = material.purl ?? material.uri;
  return {
    name: material.name,
    ...(uri === undefined ? {} : { uri }),
    digest: digestSet(material.checksums),
    annotations: {
      kind: material.kind,
      ...(material.version === undefined ? {} : { version: material.version }),
      ...(material.read === undefined ? {} : { read: material.read }),
    },
  };
}

/** in-toto DigestSet; Go's `h1:` is `goModuleH1`, in hexadecimal. */
function digestSet(checksums: Checksums): JsonObject {
  const set: JsonObject = {};
  for (const algorithm of ["sha1", "sha256", "sha384", "sha512"] as const) {
    const value = checksums[algorithm];
    if (value !== undefined) set[algorithm] = value;
  }
  if (checksums.goH1 !== undefined) set["goModuleH1"] = hex(fromBase64(checksums.goH1.replace(/^h1:/, "")));
  return set;
}
