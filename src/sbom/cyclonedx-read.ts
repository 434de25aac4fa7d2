/** Reads CycloneDX 1.4, 1.5 and 1.6 in JSON. */
import { BitforbitError } from "../errors.ts";
import { isObject, type Json } from "../json.ts";
import {
  type Bom,
  type Component,
  type Creator,
  type ExtractedLicence,
  Lost,
  type Party,
  type Property,
  type ReadBom,
  settled,
  shown,
} from "./bom.ts";
import { Fields } from "./fields.ts";
import {
  AGGREGATES,
  HASH_DIGITS,
  HASH_NAMES,
  isExpression,
  licenceRef,
  OTHER_TYPES,
  PHASES,
  PURPOSES,
} from "./names.ts";
import { instantOf } from "./instant.ts";
import { partyFields } from "./spdx-extras.ts";

const VERSIONS = ["1.4", "1.5", "1.6"];

/** Everything that is collected while components are read. */
interface Collected {
  bom: Bom;
  lost: Lost;
}

/** Reads a document. Throws `input` naming the field. */
export function readCycloneDx(document: Json): ReadBom {
  const lost = new Lost();
  const fields = new Fields(document, "", lost);
  if (fields.text("bomFormat") !== "CycloneDX") throw new BitforbitError("input", "bomFormat is not CycloneDX");
  const specVersion = fields.needed("specVersion");
  if (!VERSIONS.includes(specVersion)) {
    throw new BitforbitError("input", `CycloneDX ${shown(specVersion)} is not read`, {
      hint: `one of ${VERSIONS.join(", ")}`,
    });
  }
  fields.skip("$schema");
  const version = isObject(document) ? document["version"] : undefined;
  if (version === undefined || version === 1) fields.skip("version");
  const bom: Bom = {
    creators: [],
    lifecycles: [],
    components: [],
    extracted: [],
    completeness: [],
    properties: [],
  };
  const id = fields.text("serialNumber");
  if (id !== undefined) bom.id = id;
  const collected: Collected = { bom, lost };
  readMetadata(fields.object("metadata"), collected);
  for (const item of fields.objects("components")) readComponent(item, undefined, collected);
  readDependencies(fields, bom);
  readCompositions(fields, bom);
  fields.done();
  return { bom: settled(bom, lost), format: "CycloneDX", specVersion, lost: lost.lines() };
}

function readMetadata(metadata: Fields | undefined, collected: Collected): void {
  if (metadata === undefined) return;
  const { bom } = collected;
  const timestamp = metadata.text("timestamp");
  if (timestamp !== undefined) bom.created = instantOf(timestamp, "metadata.timestamp");
  for (const lifecycle of metadata.objects("lifecycles")) {
    const phase = lifecycle.text("phase");
    if (phase !== undefined && PHASES.has(phase)) bom.lifecycles.push(phase);
    else if (phase !== undefined) lifecycle.lose(`the phase ${shown(phase)}`);
    lifecycle.done();
  }
  const component = metadata.object("component");
  if (component !== undefined) bom.root = readComponent(component, undefined, collected).ref;
  const root = bom.components.find(({ ref }) => ref === bom.root);
  const supplier = organization(metadata.object("supplier"));
  if (supplier !== undefined && root?.supplier === undefined && root !== undefined) root.supplier = supplier;
  else if (supplier !== undefined) metadata.lose(`the supplier ${shown(supplier.name)}`);
  const manufacture = organization(metadata.object("manufacture"));
  if (manufacture !== undefined && root !== undefined && root.originator === undefined) root.originator = manufacture;
  else if (manufacture !== undefined) metadata.lose(`the manufacturer ${shown(manufacture.name)}`);
  bom.creators.push(...toolsOf(metadata));
  for (const author of metadata.objects("authors")) bom.creators.push(...person(author));
  const manufacturer = organization(metadata.object("manufacturer"));
  if (manufacturer !== undefined) bom.creators.push(manufacturer);
  readDocumentProperties(metadata, bom);
  metadata.done();
}

/** A list of `{ vendor, name, version }` up to 1.4, components and services since. */
function toolsOf(metadata: Fields): Creator[] {
  const list = metadata.isList("tools") ? metadata.objects("tools") : metadata.object("tools");
  if (list === undefined) return [];
  const tools = Array.isArray(list) ? list : list.objects("components");
  if (!Array.isArray(list)) list.done();
  return tools.map((tool): Creator => {
    const version = tool.text("version");
    const name = tool.needed("name");
    tool.skip("type", "bom-ref");
    tool.done();
    return { kind: "tool", name, ...(version === undefined ? {} : { version }) };
  });
}

/** What SPDX has a field for and CycloneDX has not. */
function readDocumentProperties(metadata: Fields, bom: Bom): void {
  for (const property of propertiesOf(metadata)) {
    const { name, value } = property;
    if (name === "spdx:document:name" && bom.name === undefined) bom.name = value;
    else if (name === "spdx:document:namespace" && bom.id === undefined) bom.id = value;
    else if (name === "spdx:document:comment" && bom.comment === undefined) bom.comment = value;
    else if (name === "spdx:document:creator") bom.creators.push(creatorOf(metadata.inside(value, name)));
    else if (name === "spdx:extracted-licence") addExtracted(bom, extractedOf(metadata.inside(value, name)));
    else bom.properties.push(property);
  }
}

function creatorOf(fields: Fields): Party {
  const party = partyFields(fields);
  fields.done();
  return party;
}

function extractedOf(fields: Fields): ExtractedLicence {
  const [id, name, text] = [fields.needed("id"), fields.text("name"), fields.text("text")];
  fields.done();
  return { id, ...(name === undefined ? {} : { name }), ...(text === undefined ? {} : { text }) };
}

function addExtracted(bom: Bom, licence: ExtractedLicence): void {
  if (!bom.extracted.some(({ id }) => id === licence.id)) bom.extracted.push(licence);
}

function readComponent(item: Fields, partOf: string | undefined, collected: Collected): Component {
  const { bom } = collected;
  const type = item.text("type") ?? "library";
  const known = PURPOSES.has(type) || OTHER_TYPES.has(type);
  if (!known) item.lose(`the type ${shown(type)}`);
  const component: Component = {
    // One without a name of its own is called by its place.
    ref: item.text("bom-ref") ?? item.path,
    type: known ? type : "library",
    name: item.needed("name"),
    hashes: [],
    references: [],
    properties: [],
    ...(partOf === undefined ? {} : { partOf }),
  };
  bom.components.push(component);
  for (const name of ["group", "version", "description", "copyright", "purl", "cpe"] as const) {
    const value = item.text(name);
    if (value !== undefined && value !== "") component[name] = value;
  }
  const scope = item.text("scope");
  if (scope === "required" || scope === "optional" || scope === "excluded") component.scope = scope;
  else if (scope !== undefined) item.lose(`the scope ${shown(scope)}`);
  const supplier = organization(item.object("supplier"));
  if (supplier !== undefined) component.supplier = supplier;
  readOriginator(item, component);
  for (const hash of item.objects("hashes")) {
    const [algorithm, value] = [hash.needed("alg"), hash.needed("content").toLowerCase()];
    if (HASH_NAMES.has(algorithm) && HASH_DIGITS.test(value)) component.hashes.push({ algorithm, value });
    else hash.lose(`${algorithm} ${shown(value)}`);
    hash.done();
  }
  readLicences(item, component, bom);
  readReferences(item, component);
  readProperties(item, component);
  for (const part of item.objects("components")) readComponent(part, component.ref, collected);
  item.done();
  return component;
}

/** `manufacturer` and `authors` since 1.6, `author` before. */
function readOriginator(item: Fields, component: Component): void {
  const found: Party[] = [];
  const manufacturer = organization(item.object("manufacturer"));
  if (manufacturer !== undefined) found.push(manufacturer);
  for (const author of item.objects("authors")) found.push(...person(author));
  const author = item.text("author");
  if (author !== undefined && author !== "") found.push({ kind: "person", name: author });
  const [first, ...others] = found;
  if (first !== undefined) component.originator = first;
  for (const { name } of others) item.lose(`the further author ${shown(name)}`);
}

/** An organisation by its name; contact without an organisation is a person. */
function organization(entity: Fields | undefined): Party | undefined {
  if (entity === undefined) return undefined;
  const name = entity.text("name");
  const [url, ...urls] = entity.texts("url");
  for (const other of urls) entity.lose(`the further address ${shown(other)}`);
  entity.skip("bom-ref");
  const [contact, ...contacts] = entity.objects("contact");
  const contactName = contact?.text("name");
  const email = contact?.text("email");
  contact?.skip("bom-ref");
  contact?.done();
  for (const other of contacts) other.lose("a further contact");
  entity.done();
  const reached = { ...(email === undefined ? {} : { email }), ...(url === undefined ? {} : { url }) };
  if (name === undefined || name === "") {
    if (contactName === undefined || contactName === "") return undefined;
    return { kind: "person", name: contactName, ...reached };
  }
  if (contactName !== undefined) entity.lose(`the contact's name ${shown(contactName)}`);
  return { kind: "organization", name, ...reached };
}

function person(author: Fields): Party[] {
  const name = author.text("name");
  const email = author.text("email");
  author.skip("bom-ref");
  author.done();
  if (name === undefined && email === undefined) return [];
  return [{ kind: "person", name: name ?? email ?? "", ...(email === undefined ? {} : { email }) }];
}

function readLicences(item: Fields, component: Component, bom: Bom): void {
  const found: { expression: string; concluded: boolean }[] = [];
  for (const entry of item.objects("licenses")) {
    let from = entry;
    let expression = entry.text("expression");
    if (expression === undefined) {
      const licence = entry.object("license");
      if (licence === undefined) continue;
      from = licence;
      expression = licence.text("id") ?? namedLicence(licence, bom);
    } else if (!isExpression(expression) && expression !== "NONE") {
      entry.lose(`${shown(expression)} is not an SPDX expression; it is taken for a name`);
      const id = licenceRef(expression, undefined);
      addExtracted(bom, { id, name: expression });
      expression = id;
    }
    const concluded = from.text("acknowledgement") === "concluded";
    from.skip("bom-ref");
    from.done();
    if (from !== entry) entry.done();
    if (expression !== undefined) found.push({ expression, concluded });
  }
  for (const concluded of [false, true]) {
    const some = found.filter((one) => one.concluded === concluded).map(({ expression }) => expression);
    const [first] = some;
    if (first === undefined) continue;
    if (some.length > 1) item.lose(`${some.length} licences without an expression; they are joined by AND`);
    const joined = some.map((one) => (some.length > 1 && / OR /.test(one) ? `(${one})` : one)).join(" AND ");
    component[concluded ? "concluded" : "declared"] = joined;
  }
}

function namedLicence(licence: Fields, bom: Bom): string | undefined {
  const name = licence.text("name");
  const attachment = licence.object("text");
  const text = attachment?.text("content");
  const encoding = attachment?.text("encoding");
  if (encoding !== undefined) attachment?.lose(`the encoding ${shown(encoding)}`);
  attachment?.skip("contentType");
  attachment?.done();
  if (name === undefined || name === "") return undefined;
  if (name === "NONE") return name;
  const id = licenceRef(name, text);
  addExtracted(bom, { id, name, ...(text === undefined ? {} : { text }) });
  return id;
}

function readReferences(item: Fields, component: Component): void {
  for (const reference of item.objects("externalReferences")) {
    const [type, url, comment] = [reference.needed("type"), reference.needed("url"), reference.text("comment")];
    if (type === "website" && comment === undefined && component.homepage === undefined) component.homepage = url;
    else if (type === "distribution" && comment === undefined && component.download === undefined) {
      component.download = url;
    } else component.references.push({ type, url, ...(comment === undefined ? {} : { comment }) });
    reference.done();
  }
}

function propertiesOf(item: Fields): Property[] {
  return item.objects("properties").map((property) => {
    const made = { name: property.text("name") ?? "", value: property.text("value") ?? "" };
    property.done();
    return made;
  });
}

function readProperties(item: Fields, component: Component): void {
  for (const property of propertiesOf(item)) {
    const { name, value } = property;
    if (name === "bsi:component:filename" && component.fileName === undefined) component.fileName = value;
    else if (name === "spdx:comment" && component.comment === undefined) component.comment = value;
    else if (name === "spdx:license-concluded" && component.concluded === undefined) component.concluded = value;
    else component.properties.push(property);
  }
}

function readDependencies(fields: Fields, bom: Bom): void {
  const byRef = new Map(bom.components.map((component) => [component.ref, component]));
  for (const entry of fields.objects("dependencies")) {
    const ref = entry.needed("ref");
    const dependsOn = entry.texts("dependsOn");
    entry.done();
    const component = byRef.get(ref);
    if (component === undefined) entry.lose(`${shown(ref)} is not in the document`);
    else component.dependsOn = [...(component.dependsOn ?? []), ...dependsOn];
  }
}

function readCompositions(fields: Fields, bom: Bom): void {
  for (const entry of fields.objects("compositions")) {
    const is = entry.needed("aggregate");
    if (!AGGREGATES.has(is)) entry.lose(`the aggregate ${shown(is)}`);
    const known = AGGREGATES.has(is) ? is : "unknown";
    for (const of of entry.texts("dependencies")) bom.completeness.push({ of, what: "dependencies", is: known });
    for (const of of entry.texts("assemblies")) bom.completeness.push({ of, what: "parts", is: known });
    entry.skip("bom-ref");
    entry.done();
  }
}
