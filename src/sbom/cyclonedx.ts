/**
 * CycloneDX 1.6 in JSON (ECMA-424): what a lock pins, as a bill of materials.
 * The same lock and outputs give the same bytes: the time is handed in, the
 * serial number follows from the content, everything is in byte order.
 */
import { type Digest, hexOf, sha256 } from "../digest.ts";
import { hex, utf8 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { canonicalJson, type JsonObject } from "../json.ts";
import type { Checksums, Material } from "../material.ts";
import { byteOrder, sortedBy } from "../order.ts";
import {
  type Bom,
  type Component,
  type ExtractedLicence,
  type Hash,
  Lost,
  type Party,
  type Property,
  settled,
} from "./bom.ts";
import { writeCycloneDx } from "./cyclonedx-write.ts";
import { isExpression, licenceRef } from "./names.ts";
import { type FileForm, formOf, type PackageFacts } from "./package-facts.ts";

export interface SbomSubject {
  name: string;
  version?: string;
  purl?: string;
  /** Who makes the bill: the builder. */
  maker?: Party;
  /** What the build made. */
  outputs: readonly { path: string; digest: Digest; sha512?: string; executable?: boolean }[];
  /** What the project says of itself. */
  facts?: PackageFacts;
  /** What the dependencies say of themselves, by purl. */
  packages?: ReadonlyMap<string, PackageFacts>;
}

/** The document for a project and what it was built from. `at`: epoch milliseconds, of the source, not of the build. */
export function cycloneDx(
  subject: SbomSubject,
  materials: readonly Material[],
  at: number,
  toolVersion: string,
): JsonObject {
  const { document } = writeCycloneDx(bomOf(subject, materials, at, toolVersion));
  return { ...document, serialNumber: serialOf(document) };
}

/** Ecosystems whose lockfiles say what depends on what; of others only the whole set is known. */
const WITH_EDGES = /^pkg:(?:npm|cargo|maven)\//;

/** The bill of a project and what it was built from, without an id. */
export function bomOf(subject: SbomSubject, materials: readonly Material[], at: number, toolVersion: string): Bom {
  const dependencies = sortedBy(
    materials.filter((material) => material.kind === "dependency"),
    refOf,
  ).filter((material, index, all) => index === 0 || refOf(material) !== refOf(all[index - 1] as Material));
  const known = new Set(dependencies.map(refOf));
  const extracted = new Map<string, ExtractedLicence>();
  const root = rootOf(subject, dependencies, known, extracted);
  const bom: Bom = {
    created: rfc3339(at),
    creators: [
      { kind: "tool", name: "bitforbit", version: toolVersion },
      ...(subject.maker === undefined ? [] : [subject.maker]),
    ],
    lifecycles: ["build"],
    root: root.ref,
    components: [
      root,
      ...subject.outputs.map((output) => outputComponent(output, root)),
      ...dependencies.map((material) =>
        component(material, known, extracted, subject.packages?.get(material.purl ?? "") ?? {}),
      ),
    ],
    extracted: [...extracted.values()],
    // The build sees no network: what is not locked, it cannot have read.
    completeness: [
      { of: root.ref, what: "dependencies", is: "complete" },
      ...dependencies.map((material) => ({
        of: refOf(material),
        what: "dependencies" as const,
        is: WITH_EDGES.test(material.purl ?? "") ? "complete" : "unknown",
      })),
    ],
    properties: [],
  };
  return settled(bom, new Lost());
}

function rootOf(
  subject: SbomSubject,
  dependencies: readonly Material[],
  known: ReadonlySet<string>,
  extracted: Map<string, ExtractedLicence>,
): Component {
  const { name, facts = {} } = subject;
  const version = subject.version ?? facts.version;
  const at = version === undefined ? "" : `@${encodeURIComponent(version)}`;
  const purl = subject.purl ?? `pkg:generic/${encodeURIComponent(name)}${at}`;
  return {
    ref: purl,
    type: "application",
    name,
    purl,
    ...(version === undefined ? {} : { version }),
    ...toldOf(facts, undefined, extracted),
    hashes: [],
    references: [],
    properties: [],
    dependsOn: directOf(dependencies, known),
  };
}

const refOf = (material: Material): string => material.purl ?? `${material.name}@${material.version ?? ""}`;

/**
 * What nothing else depends on is what the project itself asks for; of a cycle
 * that nothing leads into, the first: every component is reached from the root.
 */
function directOf(dependencies: readonly Material[], known: ReadonlySet<string>): string[] {
  const wants = new Map(
    dependencies.map((material) => [
      refOf(material),
      (material.dependsOn ?? []).filter((ref) => known.has(ref) && ref !== refOf(material)),
    ]),
  );
  const indirect = new Set([...wants.values()].flat());
  const reached = new Set<string>();
  const reach = (start: string): void => {
    const pending = [start];
    for (let ref = pending.pop(); ref !== undefined; ref = pending.pop()) {
      if (reached.has(ref)) continue;
      reached.add(ref);
      for (const next of wants.get(ref) ?? []) pending.push(next);
    }
  };
  const direct = [...wants.keys()].filter((ref) => !indirect.has(ref));
  for (const ref of direct) reach(ref);
  for (const ref of wants.keys()) {
    if (reached.has(ref)) continue;
    direct.push(ref);
    reach(ref);
  }
  return direct.sort(byteOrder);
}

function component(
  material: Material,
  known: ReadonlySet<string>,
  extracted: Map<string, ExtractedLicence>,
  facts: PackageFacts,
): Component {
  const { goH1 } = material.checksums;
  const edges = WITH_EDGES.test(material.purl ?? "");
  return {
    ref: refOf(material),
    type: "library",
    name: material.name,
    scope: material.runtime === false ? "excluded" : "required",
    ...(material.version === undefined ? {} : { version: material.version }),
    ...(material.purl === undefined ? {} : { purl: material.purl }),
    ...toldOf(facts, material.licence, extracted),
    ...(facts.fileName === undefined ? {} : { fileName: facts.fileName }),
    hashes: hashesOf({ ...(facts.sha512 === undefined ? {} : { sha512: facts.sha512 }), ...material.checksums }),
    references: [],
    properties: [
      ...(goH1 === undefined ? [] : [{ name: "bitforbit:go:h1", value: goH1 }]),
      ...(material.read === undefined ? [] : [{ name: "bitforbit:read", value: String(material.read) }]),
      ...formProperties(facts.form),
    ],
    ...(edges ? { dependsOn: (material.dependsOn ?? []).filter((ref) => known.has(ref)) } : {}),
  };
}

/** An SPDX identifier or expression stays one; free text, and npm's "UNLICENSED", is a name. */
function licenceOf(licence: string, extracted: Map<string, ExtractedLicence>): string {
  if (isExpression(licence) && licence !== "UNLICENSED") return licence;
  const name = licence.toWellFormed();
  const id = licenceRef(name, undefined);
  extracted.set(id, { id, name });
  return id;
}

const ALGORITHMS = { sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;

function hashesOf(checksums: Checksums): Hash[] {
  return (Object.keys(ALGORITHMS) as (keyof typeof ALGORITHMS)[]).flatMap((key) => {
    const value = checksums[key];
    return value === undefined ? [] : [{ algorithm: ALGORITHMS[key], value }];
  });
}

/** Who made it, under which licence, and where it lives. */
function toldOf(
  facts: PackageFacts,
  locked: string | undefined,
  extracted: Map<string, ExtractedLicence>,
): Pick<Component, "supplier" | "declared" | "homepage"> {
  const licence = locked ?? facts.licence;
  return {
    ...(facts.supplier === undefined ? {} : { supplier: facts.supplier }),
    ...(facts.homepage === undefined ? {} : { homepage: facts.homepage }),
    ...(licence === undefined ? {} : { declared: licenceOf(licence, extracted) }),
  };
}

function formProperties(form: FileForm | undefined): Property[] {
  if (form === undefined) return [];
  return [
    { name: "bsi:component:executable", value: form.executable ? "executable" : "non-executable" },
    { name: "bsi:component:archive", value: form.archive ? "archive" : "no archive" },
    { name: "bsi:component:structured", value: form.structured ? "structured" : "unstructured" },
  ];
}

/** A file that the build made: of the project's version, maker and licence. */
function outputComponent(output: SbomSubject["outputs"][number], root: Component): Component {
  const { version, supplier, declared, homepage } = root;
  return {
    ref: `output:${output.path}`,
    type: "file",
    name: output.path,
    partOf: root.ref,
    fileName: output.path.split("/").at(-1) ?? output.path,
    ...(version === undefined ? {} : { version }),
    ...(supplier === undefined ? {} : { supplier }),
    ...(declared === undefined ? {} : { declared }),
    ...(homepage === undefined ? {} : { homepage }),
    hashes: hashesOf({
      sha256: hexOf(output.digest),
      ...(output.sha512 === undefined ? {} : { sha512: output.sha512 }),
    }),
    references: [],
    properties: output.executable === undefined ? [] : formProperties(formOf(output.path, output.executable)),
  };
}

/** A UUID of version 8 (RFC 9562, section 5.8) made of the document's SHA-256. */
function serialOf(document: JsonObject): string {
  const digits = hex(sha256(canonicalJson(document)))
    .slice(0, 32)
    .split("");
  digits[12] = "8";
  digits[16] = "89ab"[Number.parseInt(digits[16] ?? "0", 16) & 3] ?? "8";
  const text = digits.join("");
  return `urn:uuid:${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
}

/** The bytes of a document as they are signed and stored: canonical JSON and a newline. */
export function sbomBytes(document: JsonObject): Uint8Array {
  return new Uint8Array(Buffer.concat([canonicalJson(document), utf8("\n")]));
}
