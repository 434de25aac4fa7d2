/** Writes a bill of materials as SPDX 2.3 in JSON (ISO/IEC 5962 and its annex of JSON names). */
import type { JsonObject } from "../json.ts";
import { type Bom, type Completeness, type Component, type Creator, Lost, type Party, shown } from "./bom.ts";
import type { WrittenBom } from "./cyclonedx-write.ts";
import { HASH_NAMES, OTHER_TYPES, PURPOSES, spdxId } from "./names.ts";
import { creatorOf, creatorText, partyOf, partyText } from "./spdx-parties.ts";
import { extrasText } from "./spdx-extras.ts";

const DOCUMENT = "SPDXRef-DOCUMENT";

/** What SPDX demands of every document, for bills that do not say it. */
export interface SpdxDefaults {
  /** RFC 3339, UTC, whole seconds. */
  created: string;
  creator: Creator;
  /** A URI that no other document has. */
  namespace: string;
}

/** The document of a settled bill. */
export function writeSpdx(bom: Bom, defaults: SpdxDefaults): WrittenBom {
  const lost = new Lost();
  const added: string[] = [];
  const orElse = <T>(value: T | undefined, other: T, what: string): T => {
    if (value === undefined) added.push(what);
    return value ?? other;
  };
  const created = orElse(bom.created, defaults.created, `the time of creation, ${defaults.created}`);
  const annotation = (comment: string | undefined): JsonObject =>
    comment === undefined
      ? {}
      : {
          annotations: [{ annotationDate: created, annotationType: "OTHER", annotator: "Tool: bitforbit", comment }],
        };
  const stated = Map.groupBy(bom.completeness, ({ of }) => of);
  const creators =
    bom.creators.length > 0
      ? bom.creators
      : [orElse<Creator>(undefined, defaults.creator, `the creator ${creatorText(defaults.creator)}`)];
  const document: JsonObject = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: DOCUMENT,
    name: bom.name ?? "NOASSERTION",
    documentNamespace: orElse(namespaceOf(bom, lost), defaults.namespace, `the namespace ${defaults.namespace}`),
    creationInfo: { created, creators: creators.map(creatorText) },
    ...(bom.comment === undefined ? {} : { comment: bom.comment }),
    ...annotation(documentExtras(bom)),
    ...(bom.extracted.length === 0
      ? {}
      : {
          hasExtractedLicensingInfos: bom.extracted.map(({ id, name, text }) => ({
            licenseId: id,
            extractedText: text ?? "NOASSERTION",
            ...(name === undefined ? {} : { name }),
          })),
        }),
    packages: bom.components.map((component) => ({
      ...packageOf(component),
      ...annotation(componentExtras(component, stated.get(component.ref) ?? [])),
    })),
    relationships: relationshipsOf(bom),
  };
  return { document, lost: lost.lines(), added };
}

function namespaceOf({ id }: Bom, lost: Lost): string | undefined {
  if (id === undefined || /^[A-Za-z][A-Za-z0-9+.-]*:[^#\s]+$/.test(id)) return id;
  lost.add(`the identifier ${shown(id)}, which is no URI`);
  return undefined;
}

const same = (a: object | undefined, b: object | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

function documentExtras({ creators, lifecycles, properties }: Bom): string | undefined {
  return extrasText({
    ...(creators.every((creator) => same(creatorOf(creatorText(creator)), creator)) ? {} : { creators }),
    ...(lifecycles.length === 0 ? {} : { lifecycles }),
    ...(properties.length === 0 ? {} : { properties }),
  });
}

/** Whether SPDX's text would come back as something else. */
const inexact = (party: Party): boolean => !same(partyOf(partyText(party)), party);

function componentExtras(component: Component, stated: readonly Completeness[]): string | undefined {
  const { type, group, scope, supplier, originator, properties } = component;
  const completeness = stated.filter((one) => !saidByNoAssertion(one)).map(({ what, is }) => ({ what, is }));
  return extrasText({
    ...(OTHER_TYPES.has(type) ? { type } : {}),
    ...(group === undefined ? {} : { group }),
    ...(scope === undefined ? {} : { scope }),
    ...(supplier !== undefined && inexact(supplier) ? { supplier } : {}),
    ...(originator !== undefined && inexact(originator) ? { originator } : {}),
    ...(properties.length === 0 ? {} : { properties }),
    ...(completeness.length === 0 ? {} : { completeness }),
  });
}

/** `DEPENDS_ON NOASSERTION` says it. */
const saidByNoAssertion = ({ what, is }: Pick<Completeness, "what" | "is">): boolean =>
  what === "dependencies" && is === "unknown";

function packageOf(component: Component): JsonObject {
  const { ref, type, name, version, fileName, supplier, originator, description, comment } = component;
  return {
    SPDXID: spdxId(ref),
    name,
    ...(version === undefined ? {} : { versionInfo: version }),
    ...(fileName === undefined ? {} : { packageFileName: fileName }),
    ...(supplier === undefined ? {} : { supplier: partyText(supplier) }),
    ...(originator === undefined ? {} : { originator: partyText(originator) }),
    downloadLocation: component.download ?? "NOASSERTION",
    filesAnalyzed: false,
    primaryPackagePurpose: PURPOSES.get(type) ?? "OTHER",
    licenseConcluded: component.concluded ?? "NOASSERTION",
    licenseDeclared: component.declared ?? "NOASSERTION",
    copyrightText: component.copyright ?? "NOASSERTION",
    ...(component.homepage === undefined ? {} : { homepage: component.homepage }),
    ...(description === undefined ? {} : { description }),
    ...(comment === undefined ? {} : { comment }),
    ...(component.hashes.length === 0
      ? {}
      : {
          checksums: component.hashes.map(({ algorithm, value }) => ({
            algorithm: HASH_NAMES.get(algorithm) ?? algorithm,
            checksumValue: value,
          })),
        }),
    ...referencesOf(component),
  };
}

function referencesOf({ purl, cpe, references }: Component): JsonObject {
  const made: JsonObject[] = [
    ...(purl === undefined ? [] : [reference("PACKAGE-MANAGER", "purl", purl)]),
    ...(cpe === undefined ? [] : [reference("SECURITY", cpe.startsWith("cpe:2.3:") ? "cpe23Type" : "cpe22Type", cpe)]),
    ...references.map(({ type, url, comment }) => {
      const [, category, kind, rest] = /^spdx:([A-Z-]+) (\S+)(?:: ([^]*))?$/.exec(comment ?? "") ?? [];
      if (type === "other" && category !== undefined && kind !== undefined) return reference(category, kind, url, rest);
      return reference("OTHER", type, url, comment);
    }),
  ];
  return made.length === 0 ? {} : { externalRefs: made };
}

const reference = (category: string, type: string, locator: string, comment?: string): JsonObject => ({
  referenceCategory: category,
  referenceType: type,
  referenceLocator: locator,
  ...(comment === undefined ? {} : { comment }),
});

function relationshipsOf(bom: Bom): JsonObject[] {
  const made: JsonObject[] = bom.root === undefined ? [] : [relationship(DOCUMENT, "DESCRIBES", spdxId(bom.root))];
  const unknown = new Set(
    bom.completeness.filter((one) => one.what === "dependencies" && one.is === "unknown").map(({ of }) => of),
  );
  for (const { ref, partOf, dependsOn } of bom.components) {
    const id = spdxId(ref);
    if (partOf !== undefined) made.push(relationship(spdxId(partOf), "CONTAINS", id));
    if (dependsOn?.length === 0) made.push(relationship(id, "DEPENDS_ON", "NONE"));
    for (const to of dependsOn ?? []) made.push(relationship(id, "DEPENDS_ON", spdxId(to)));
    if (unknown.has(ref)) made.push(relationship(id, "DEPENDS_ON", "NOASSERTION"));
  }
  return made;
}

const relationship = (from: string, kind: string, to: string): JsonObject => ({
  spdxElementId: from,
  relationshipType: kind,
  relatedSpdxElement: to,
});
