/**
 * CycloneDX 1.6 in JSON (ECMA-424): what a lock pins, as a bill of materials.
 * The same lock and outputs give the same bytes: the time is handed in, the
 * serial number follows from the content, everything is in byte order.
 */
import type { Digest } from "../digest.ts";
import { sha256 } from "../digest.ts";
import { hex, utf8 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { canonicalJson, type Json, type JsonObject } from "../json.ts";
import type { Checksums, Material } from "../material.ts";
import { byteOrder, sortedBy } from "../order.ts";

export interface SbomSubject {
  name: string;
  version?: string;
  purl?: string;
  /** What the build made. */
  outputs: readonly { path: string; digest: Digest }[];
}

/** The document for a project and what it was built from. `at`: epoch milliseconds, of the source, not of the build. */
export function cycloneDx(
  subject: SbomSubject,
  materials: readonly Material[],
  at: number,
  toolVersion: string,
): JsonObject {
  const dependencies = sortedBy(
    materials.filter((material) => material.kind === "dependency"),
    refOf,
  ).filter((material, index, all) => index === 0 || refOf(material) !== refOf(all[index - 1] as Material));
  const known = new Set(dependencies.map(refOf));
  const root =
    subject.purl ??
    `pkg:generic/${encodeURIComponent(subject.name)}${subject.version === undefined ? "" : `@${encodeURIComponent(subject.version)}`}`;
  const document: JsonObject = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: rfc3339(at),
      lifecycles: [{ phase: "build" }],
      tools: { components: [{ type: "application", name: "bitforbit", version: toolVersion }] },
      component: {
        type: "application",
        "bom-ref": root,
        name: subject.name,
        purl: root,
        ...(subject.version === undefined ? {} : { version: subject.version }),
        ...(subject.outputs.length === 0 ? {} : { components: subject.outputs.map(outputComponent) }),
      },
    },
    components: dependencies.map(component),
    dependencies: [
      { ref: root, dependsOn: directOf(dependencies, known) },
      ...dependencies.map((material) => ({
        ref: refOf(material),
        dependsOn: (material.dependsOn ?? []).filter((ref) => known.has(ref)).sort(byteOrder),
      })),
    ],
  };
  return { ...document, serialNumber: serialOf(document) };
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

function component(material: Material): Json {
  const hashes = hashesOf(material.checksums);
  const { goH1 } = material.checksums;
  const properties = [
    ...(goH1 === undefined ? [] : [{ name: "bitforbit:go:h1", value: goH1 }]),
    ...(material.read === undefined ? [] : [{ name: "bitforbit:read", value: String(material.read) }]),
  ];
  return {
    type: "library",
    "bom-ref": refOf(material),
    name: material.name,
    scope: material.runtime === false ? "excluded" : "required",
    ...(material.version === undefined ? {} : { version: material.version }),
    ...(material.purl === undefined ? {} : { purl: material.purl }),
    ...(hashes.length === 0 ? {} : { hashes }),
    ...(material.licence === undefined ? {} : { licenses: [licenceOf(material.licence)] }),
    ...(properties.length === 0 ? {} : { properties }),
  };
}

const LICENCE = String.raw`\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*`;
const EXPRESSION = new RegExp(`^${LICENCE}(?: (?:AND|OR|WITH) ${LICENCE})*$`);

/** An SPDX identifier or expression goes in as one; free text, and npm's "UNLICENSED", as a name. */
function licenceOf(licence: string): Json {
  const balanced = licence.split("(").length === licence.split(")").length;
  const words = licence.split(/[ ()]+/);
  const expression =
    balanced && EXPRESSION.test(licence) && !["UNLICENSED", "AND", "OR", "WITH"].includes(words[0] ?? "");
  return expression ? { expression: licence } : { license: { name: licence } };
}

function hashesOf(checksums: Checksums): Json[] {
  const names = { sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;
  return (Object.keys(names) as (keyof typeof names)[]).flatMap((key) => {
    const content = checksums[key];
    return content === undefined ? [] : [{ alg: names[key], content }];
  });
}

function outputComponent(output: { path: string; digest: Digest }): Json {
  return {
    type: "file",
    "bom-ref": `output:${output.path}`,
    name: output.path,
    hashes: [{ alg: "SHA-256", content: output.digest.slice("sha256:".length) }],
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

/**
 * How much of what the NTIA's minimum elements ask for is there, from 0 to 1:
 * name, version, a unique identifier and a checksum of each component, the
 * dependency relation, author (the tool) and timestamp.
 */
export function completeness(document: JsonObject): number {
  const components = (document["components"] ?? []) as JsonObject[];
  const wanted = components.flatMap((item) => [
    item["name"] !== undefined,
    item["version"] !== undefined,
    item["purl"] !== undefined,
    item["hashes"] !== undefined || item["properties"] !== undefined,
  ]);
  const metadata = (document["metadata"] ?? {}) as JsonObject;
  wanted.push(
    metadata["timestamp"] !== undefined,
    metadata["tools"] !== undefined,
    document["dependencies"] !== undefined,
  );
  return wanted.filter(Boolean).length / wanted.length;
}
