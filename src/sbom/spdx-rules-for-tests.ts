/** SPDX 2.3's own rules for its JSON form (clauses 6–12 and annexes D, F), written from the specification. */
import { isObject, type Json, type JsonObject } from "../json.ts";
import { isExpression } from "./names.ts";

const ID = /^SPDXRef-[A-Za-z0-9.-]+$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const WHO = /^(?:Person|Organization|Tool): .+$/s;
const PURPOSES =
  "APPLICATION FRAMEWORK LIBRARY CONTAINER OPERATING-SYSTEM DEVICE FIRMWARE SOURCE ARCHIVE FILE INSTALL OTHER";
const DIGITS: Readonly<Record<string, number>> = {
  MD5: 32,
  SHA1: 40,
  SHA256: 64,
  SHA384: 96,
  SHA512: 128,
  "SHA3-256": 64,
  "SHA3-384": 96,
  "SHA3-512": 128,
  "BLAKE2b-256": 64,
  "BLAKE2b-384": 96,
  "BLAKE2b-512": 128,
};
const RELATIONSHIPS = /^(?:DESCRIBES|DEPENDS_ON|CONTAINS)$/;

const list = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);
const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");

/** Each rule that the document breaks, in words; none for a good one. */
export function spdxFaults(document: JsonObject): string[] {
  const faults: string[] = [];
  const check = (ok: boolean, what: string): void => void (ok || faults.push(what));
  const only = (object: JsonObject, where: string, required: string, optional = ""): void => {
    const allowed = `${required} ${optional}`.split(" ");
    for (const name of required.split(" ")) check(Object.hasOwn(object, name), `${where} has no ${name}`);
    for (const name of Object.keys(object)) check(allowed.includes(name), `${where} has ${name}`);
  };
  only(
    document,
    "the document",
    "spdxVersion dataLicense SPDXID name documentNamespace creationInfo packages relationships",
    "comment annotations hasExtractedLicensingInfos",
  );
  check(document["spdxVersion"] === "SPDX-2.3", "6.1 version");
  check(document["dataLicense"] === "CC0-1.0", "6.2 data licence");
  check(document["SPDXID"] === "SPDXRef-DOCUMENT", "6.3 identifier");
  check(/^[A-Za-z][A-Za-z0-9+.-]*:[^#\s]+$/.test(text(document["documentNamespace"])), "6.5 namespace");
  const creation = (document["creationInfo"] ?? {}) as JsonObject;
  only(creation, "creationInfo", "created creators");
  check(TIME.test(text(creation["created"])), "6.9 created");
  const creators = creation["creators"] as Json[];
  check(creators.length > 0 && creators.every((one) => WHO.test(text(one))), "6.8 creators");

  const licences = new Set(list(document["hasExtractedLicensingInfos"]).map((one) => text(one["licenseId"])));
  for (const one of list(document["hasExtractedLicensingInfos"])) {
    only(one, "a licence", "licenseId extractedText", "name");
    check(/^LicenseRef-[A-Za-z0-9.-]+$/.test(text(one["licenseId"])), `10.1 ${text(one["licenseId"])}`);
  }
  const licence = (value: Json | undefined): void => {
    const said = text(value);
    check(said === "NONE" || said === "NOASSERTION" || isExpression(said), `annex D: ${said}`);
    for (const [ref] of said.matchAll(/LicenseRef-[A-Za-z0-9.-]+/g)) check(licences.has(ref), `no text for ${ref}`);
  };
  const annotations = (value: Json | undefined): void => {
    for (const one of list(value)) {
      only(one, "an annotation", "annotationDate annotationType annotator comment");
      check(TIME.test(text(one["annotationDate"])) && WHO.test(text(one["annotator"])), "12 annotation");
      check(one["annotationType"] === "OTHER" || one["annotationType"] === "REVIEW", "12.4 type");
    }
  };
  annotations(document["annotations"]);
  const ids = new Set(["SPDXRef-DOCUMENT"]);
  for (const item of list(document["packages"])) {
    only(
      item,
      "a package",
      "SPDXID name downloadLocation",
      "versionInfo packageFileName supplier originator filesAnalyzed primaryPackagePurpose licenseConcluded licenseDeclared " +
        "copyrightText homepage description comment checksums externalRefs annotations",
    );
    const id = text(item["SPDXID"]);
    check(ID.test(id) && !ids.has(id), `7.2 ${id}`);
    ids.add(id);
    for (const name of ["supplier", "originator"]) {
      if (item[name] !== undefined) check(/^(?:Person|Organization): ./s.test(text(item[name])), `7.5 ${name}`);
    }
    check(PURPOSES.split(" ").includes(text(item["primaryPackagePurpose"])), "7.24 purpose");
    licence(item["licenseConcluded"]);
    licence(item["licenseDeclared"]);
    for (const sum of list(item["checksums"])) {
      only(sum, "a checksum", "algorithm checksumValue");
      const digits = DIGITS[text(sum["algorithm"])];
      const value = text(sum["checksumValue"]);
      check(digits === undefined ? sum["algorithm"] === "BLAKE3" : value.length === digits, `7.10 ${value}`);
    }
    for (const one of list(item["externalRefs"])) {
      only(one, "a reference", "referenceCategory referenceType referenceLocator", "comment");
      const category = text(one["referenceCategory"]);
      check(["SECURITY", "PACKAGE-MANAGER", "PERSISTENT-ID", "OTHER"].includes(category), `7.21 ${category}`);
    }
    annotations(item["annotations"]);
  }
  const said = new Set<string>();
  for (const one of list(document["relationships"])) {
    only(one, "a relationship", "spdxElementId relationshipType relatedSpdxElement");
    const [from, kind, to] = [
      text(one["spdxElementId"]),
      text(one["relationshipType"]),
      text(one["relatedSpdxElement"]),
    ];
    check(ids.has(from) && (ids.has(to) || to === "NONE" || to === "NOASSERTION"), `11 ${from} ${to}`);
    check(RELATIONSHIPS.test(kind), `11.1 ${kind}`);
    check(!said.has(`${from} ${kind} ${to}`), `${from} ${kind} ${to} twice`);
    said.add(`${from} ${kind} ${to}`);
  }
  return faults;
}
