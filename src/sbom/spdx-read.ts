/** Reads SPDX 2.3 (and 2.2) in JSON. */
import { BitforbitError } from "../errors.ts";
import type { Json } from "../json.ts";
import { type Bom, type Component, Lost, type ReadBom, settled, shown } from "./bom.ts";
import { Fields } from "./fields.ts";
import { instantOf } from "./instant.ts";
import { AGGREGATES, HASH_DIGITS, HASH_NAMES, OTHER_TYPES, PURPOSES, REFERENCE_TYPES, refOfSpdxId } from "./names.ts";
import { componentExtras, documentExtras } from "./spdx-extras.ts";
import { creatorOf, partyOf } from "./spdx-parties.ts";

const VERSIONS = ["SPDX-2.2", "SPDX-2.3"];
const DOCUMENT = "SPDXRef-DOCUMENT";

const TYPES = new Map([...PURPOSES].map(([type, purpose]) => [purpose, type]));
const ALGORITHMS = new Map([...HASH_NAMES].map(([cyclonedx, spdx]) => [spdx, cyclonedx]));

/** Reads a document. Throws `input` naming the field. */
export function readSpdx(document: Json): ReadBom {
  const lost = new Lost();
  const fields = new Fields(document, "", lost);
  const specVersion = fields.needed("spdxVersion");
  if (!VERSIONS.includes(specVersion)) {
    throw new BitforbitError("input", `${shown(specVersion)} is not read`, { hint: `one of ${VERSIONS.join(", ")}` });
  }
  fields.skip("SPDXID", "dataLicense");
  const bom: Bom = { creators: [], lifecycles: [], components: [], extracted: [], completeness: [], properties: [] };
  const [id, name, comment] = [fields.text("documentNamespace"), fields.text("name"), fields.text("comment")];
  if (id !== undefined) bom.id = id;
  if (name !== undefined && name !== "NOASSERTION") bom.name = name;
  if (comment !== undefined) bom.comment = comment;
  readCreation(fields.object("creationInfo"), bom);
  readDocumentAnnotations(fields, bom);
  for (const one of fields.objects("hasExtractedLicensingInfos")) readExtracted(one, bom);
  for (const one of fields.objects("packages")) readPackage(one, bom);
  for (const one of fields.objects("files")) readFile(one, bom);
  const described = fields.texts("documentDescribes");
  readRelationships(fields, bom, described);
  fields.done();
  return { bom: settled(bom, lost), format: "SPDX", specVersion: specVersion.slice(5), lost: lost.lines() };
}

function readCreation(creation: Fields | undefined, bom: Bom): void {
  if (creation === undefined) throw new BitforbitError("input", "creationInfo is missing");
  const created = creation.text("created");
  if (created !== undefined) bom.created = instantOf(created, "creationInfo.created");
  for (const text of creation.texts("creators")) {
    const creator = creatorOf(text);
    if (creator === undefined) creation.lose(`the creator ${shown(text)}`);
    else bom.creators.push(creator);
  }
  creation.done();
}

function readDocumentAnnotations(fields: Fields, bom: Bom): void {
  for (const annotation of fields.objects("annotations")) {
    const extras = documentExtras(annotation);
    if (extras === undefined) {
      annotation.lose("an annotation");
      continue;
    }
    if (extras.creators !== undefined) bom.creators = extras.creators;
    bom.lifecycles.push(...(extras.lifecycles ?? []));
    bom.properties.push(...(extras.properties ?? []));
  }
}

function readExtracted(one: Fields, bom: Bom): void {
  const [name, text] = [asserted(one.text("name")), asserted(one.text("extractedText"))];
  bom.extracted.push({
    id: one.needed("licenseId"),
    ...(name === undefined ? {} : { name }),
    ...(text === undefined ? {} : { text }),
  });
  one.done();
}

const asserted = (text: string | undefined): string | undefined =>
  text === "NOASSERTION" || text === "" ? undefined : text;

function readPackage(item: Fields, bom: Bom): void {
  const purpose = item.text("primaryPackagePurpose");
  const type = purpose === undefined ? undefined : TYPES.get(purpose);
  const component: Component = {
    ref: refOfSpdxId(item.needed("SPDXID")),
    type: type ?? "library",
    name: item.needed("name"),
    hashes: hashesOf(item),
    references: [],
    properties: [],
  };
  bom.components.push(component);
  const said = {
    version: item.text("versionInfo"),
    fileName: item.text("packageFileName"),
    description: item.text("description"),
    comment: item.text("comment"),
    copyright: asserted(item.text("copyrightText")),
    homepage: asserted(item.text("homepage")),
    download: asserted(item.text("downloadLocation")),
    declared: asserted(item.text("licenseDeclared")),
    concluded: asserted(item.text("licenseConcluded")),
  };
  for (const [name, value] of Object.entries(said)) {
    if (value !== undefined) component[name as keyof typeof said] = value;
  }
  for (const name of ["supplier", "originator"] as const) {
    const text = asserted(item.text(name));
    const party = text === undefined ? undefined : partyOf(text);
    if (party !== undefined) component[name] = party;
    else if (text !== undefined) item.lose(`the ${name} ${shown(text)}`);
  }
  item.skip("filesAnalyzed");
  readReferences(item, component);
  const carried = readAnnotations(item, component, bom);
  if (purpose === undefined) item.lose("no primaryPackagePurpose: taken for a library");
  else if (type === undefined && !carried) item.lose(`the purpose ${shown(purpose)}: taken for a library`);
  for (const part of item.texts("hasFiles"))
    bom.completeness.push({ of: component.ref, what: "parts", is: `\0${part}` });
  item.done();
}

function hashesOf(item: Fields): Component["hashes"] {
  return item.objects("checksums").flatMap((checksum) => {
    const name = checksum.needed("algorithm");
    const value = checksum.needed("checksumValue").toLowerCase();
    const algorithm = ALGORITHMS.get(name);
    checksum.done();
    if (algorithm !== undefined && HASH_DIGITS.test(value)) return [{ algorithm, value }];
    checksum.lose(`${name} ${shown(value)}`);
    return [];
  });
}

function readReferences(item: Fields, component: Component): void {
  for (const reference of item.objects("externalRefs")) {
    const category = reference.needed("referenceCategory").replaceAll("_", "-");
    const type = reference.needed("referenceType");
    const url = reference.needed("referenceLocator");
    const comment = reference.text("comment");
    reference.done();
    if (type === "purl" && component.purl === undefined && comment === undefined) component.purl = url;
    else if (/^cpe2[23]Type$/.test(type) && component.cpe === undefined && comment === undefined) component.cpe = url;
    else if (category === "OTHER" && (REFERENCE_TYPES.has(type) || type === "website" || type === "distribution")) {
      component.references.push({ type, url, ...(comment === undefined ? {} : { comment }) });
    } else {
      const said = `spdx:${category} ${type}${comment === undefined ? "" : `: ${comment}`}`;
      component.references.push({ type: "other", url, comment: said });
    }
  }
}

/** Whether the component's type was told by one of ours. */
function readAnnotations(item: Fields, component: Component, bom: Bom): boolean {
  let typed = false;
  for (const annotation of item.objects("annotations")) {
    const extras = componentExtras(annotation);
    if (extras === undefined) {
      annotation.lose("an annotation");
      continue;
    }
    const { type, properties, completeness, ...rest } = extras;
    Object.assign(component, rest);
    component.properties.push(...(properties ?? []));
    if (type !== undefined && OTHER_TYPES.has(type)) {
      component.type = type;
      typed = true;
    }
    for (const { what, is } of completeness ?? []) {
      if (AGGREGATES.has(is)) bom.completeness.push({ of: component.ref, what, is });
    }
  }
  return typed;
}

function readFile(item: Fields, bom: Bom): void {
  const declared = item.texts("licenseInfoInFiles").filter((one) => asserted(one) !== undefined);
  const [copyright, concluded] = [asserted(item.text("copyrightText")), asserted(item.text("licenseConcluded"))];
  const comment = item.text("comment");
  bom.components.push({
    ref: refOfSpdxId(item.needed("SPDXID")),
    type: "file",
    name: item.needed("fileName"),
    hashes: hashesOf(item),
    references: [],
    properties: [],
    ...(declared.length === 0
      ? {}
      : {
          declared: declared
            .map((one) => `(${one})`)
            .join(" AND ")
            .replace(/^\(([^()]*)\)$/, "$1"),
        }),
    ...(concluded === undefined ? {} : { concluded }),
    ...(copyright === undefined ? {} : { copyright }),
    ...(comment === undefined ? {} : { comment }),
  });
  item.done();
}

/** Relationships that say the same as dependsOn, seen from the other end, and what they say of the scope. */
const DEPENDENCY_OF: ReadonlyMap<string, Component["scope"]> = new Map([
  ["DEPENDENCY_OF", undefined],
  ["RUNTIME_DEPENDENCY_OF", "required"],
  ["OPTIONAL_DEPENDENCY_OF", "optional"],
  ["BUILD_DEPENDENCY_OF", "excluded"],
  ["DEV_DEPENDENCY_OF", "excluded"],
  ["TEST_DEPENDENCY_OF", "excluded"],
]);

function readRelationships(fields: Fields, bom: Bom, described: readonly string[]): void {
  const byRef = new Map(bom.components.map((component) => [component.ref, component]));
  const roots = described.map(refOfSpdxId);
  // Parts that a package lists itself (`hasFiles`) wait behind a mark until all elements are known.
  const listed = bom.completeness.filter(({ is }) => is.startsWith("\0"));
  bom.completeness = bom.completeness.filter(({ is }) => !is.startsWith("\0"));
  const link = new Links(byRef);
  for (const { of, is } of listed) link.contains(of, refOfSpdxId(is.slice(1)), fields);
  for (const relationship of fields.objects("relationships")) {
    const [from, to] = [relationship.needed("spdxElementId"), relationship.needed("relatedSpdxElement")];
    const kind = relationship.needed("relationshipType");
    const [a, b] = [refOfSpdxId(from), refOfSpdxId(to)];
    relationship.done();
    if (kind === "DESCRIBES" && from === DOCUMENT) roots.push(b);
    else if (kind === "DESCRIBED_BY" && to === DOCUMENT) roots.push(a);
    else if (kind === "DEPENDS_ON")
      link.dependsOn(a, to === "NONE" || to === "NOASSERTION" ? to : b, relationship, bom);
    else if (kind === "CONTAINS") link.contains(a, b, relationship);
    else if (kind === "CONTAINED_BY") link.contains(b, a, relationship);
    else if (DEPENDENCY_OF.has(kind)) {
      link.dependsOn(b, a, relationship, bom);
      const [scope, component] = [DEPENDENCY_OF.get(kind), byRef.get(a)];
      if (scope !== undefined && component !== undefined) component.scope ??= scope;
      if (kind !== "DEPENDENCY_OF") relationship.lose(`${kind} is kept as a dependency of scope ${scope}`);
    } else relationship.lose(`${from} ${kind} ${to}`);
  }
  const [root, ...others] = [...new Set(roots)];
  if (root !== undefined) bom.root = root;
  for (const other of others) fields.lose(`the document is about ${shown(other)}, too`);
}

class Links {
  readonly #byRef: ReadonlyMap<string, Component>;

  constructor(byRef: ReadonlyMap<string, Component>) {
    this.#byRef = byRef;
  }

  dependsOn(from: string, to: string, said: Fields, bom: Bom): void {
    const component = this.#byRef.get(from);
    if (component === undefined) return said.lose(`${shown(from)} is not in the document`);
    if (to === "NOASSERTION") bom.completeness.push({ of: from, what: "dependencies", is: "unknown" });
    else if (to === "NONE") component.dependsOn ??= [];
    else (component.dependsOn ??= []).push(to);
    return undefined;
  }

  contains(whole: string, part: string, said: Fields): void {
    const component = this.#byRef.get(part);
    if (component === undefined) return said.lose(`${shown(part)} is not in the document`);
    if (component.partOf === undefined || component.partOf === whole) component.partOf = whole;
    else said.lose(`${shown(part)} is a part of ${shown(whole)}, too`);
    return undefined;
  }
}
