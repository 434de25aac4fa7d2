/** Writes a bill of materials as CycloneDX 1.6 in JSON (ECMA-424). */
import type { Json, JsonObject } from "../json.ts";
import { type Bom, type Component, Lost, type Party, type Property, type Reference, shown } from "./bom.ts";
import { licenceRef, REFERENCE_TYPES } from "./names.ts";

export interface WrittenBom {
  document: JsonObject;
  /** What of the bill this format cannot carry. */
  lost: string[];
  /** What it demands and the bill did not have, and what was put. */
  added: string[];
}

/** The document of a settled bill. */
export function writeCycloneDx(bom: Bom): WrittenBom {
  const lost = new Lost();
  const names = namedAlone(bom);
  const parts = Map.groupBy(bom.components, ({ partOf }) => partOf);
  const write = (component: Component): JsonObject => {
    const inside = parts.get(component.ref) ?? [];
    const written = writeComponent(component, names, lost);
    return inside.length === 0 ? written : { ...written, components: inside.map(write) };
  };
  const top = parts.get(undefined) ?? [];
  const root = bom.components.find(({ ref }) => ref === bom.root);
  // The root stands apart: what it is said to be a part of cannot be written around it.
  if (root?.partOf !== undefined) lost.add(`${shown(root.ref)} is a part of ${shown(root.partOf)}`);
  // The root first, as readers of the list expect it.
  const dependencies = [...(root === undefined ? [] : [root]), ...withoutRoot(bom.components, root)].flatMap(
    ({ ref, dependsOn }) => (dependsOn === undefined ? [] : [{ ref, dependsOn }]),
  );
  const document: JsonObject = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    ...(isUuid(bom.id) ? { serialNumber: bom.id } : {}),
    metadata: metadataOf(bom, root === undefined ? undefined : write(root), names, lost),
    components: withoutRoot(top, root).map(write),
    ...(dependencies.length === 0 ? {} : { dependencies }),
    ...(bom.completeness.length === 0 ? {} : { compositions: compositionsOf(bom) }),
  };
  return { document, lost: lost.lines(), added: [] };
}

const withoutRoot = (components: readonly Component[], root: Component | undefined): Component[] =>
  components.filter((component) => component !== root);

const isUuid = (id: string | undefined): id is string =>
  id !== undefined && /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id);

function metadataOf(bom: Bom, component: JsonObject | undefined, names: Names, lost: Lost): JsonObject {
  const tools = bom.creators.flatMap((creator) => (creator.kind === "tool" ? [creator] : []));
  const people = bom.creators.flatMap((creator) => (creator.kind === "person" ? [creator] : []));
  const [manufacturer, ...others] = bom.creators.flatMap((one) => (one.kind === "organization" ? [one] : []));
  const authors = people.filter(({ url }) => url === undefined);
  const further: Party[] = [...people.filter(({ url }) => url !== undefined), ...others];
  const properties = [
    ...bom.properties,
    ...(bom.name === undefined ? [] : [{ name: "spdx:document:name", value: bom.name }]),
    ...(bom.id === undefined || isUuid(bom.id) ? [] : [{ name: "spdx:document:namespace", value: bom.id }]),
    ...(bom.comment === undefined ? [] : [{ name: "spdx:document:comment", value: bom.comment }]),
    ...further.map((party) => ({ name: "spdx:document:creator", value: JSON.stringify(party) })),
    ...bom.extracted
      .filter(({ id }) => names.get(id)?.shown !== true)
      .map((licence) => ({ name: "spdx:extracted-licence", value: JSON.stringify(licence) })),
  ];
  return {
    ...(bom.created === undefined ? {} : { timestamp: bom.created }),
    ...(bom.lifecycles.length === 0 ? {} : { lifecycles: bom.lifecycles.map((phase) => ({ phase })) }),
    ...(tools.length === 0 ? {} : { tools: { components: tools.map(toolComponent) } }),
    ...(authors.length === 0 ? {} : { authors: authors.map(contact) }),
    ...(manufacturer === undefined ? {} : { manufacturer: entity(manufacturer, lost) }),
    ...(component === undefined ? {} : { component }),
    ...(properties.length === 0 ? {} : { properties: properties.map(plain) }),
  };
}

const toolComponent = ({ name, version }: { name: string; version?: string }): JsonObject => ({
  type: "application",
  name,
  ...(version === undefined ? {} : { version }),
});

const plain = ({ name, value }: Property): JsonObject => ({ name, value });

const contact = ({ name, email }: Party): JsonObject => ({ name, ...(email === undefined ? {} : { email }) });

/** CycloneDX's organizationalEntity; a person is a contact without an organisation. */
function entity(party: Party, lost: Lost): JsonObject {
  const url = party.url !== undefined && isIri(party.url) ? { url: [party.url] } : {};
  if (party.url !== undefined && !isIri(party.url)) lost.add(`the address ${shown(party.url)} of ${shown(party.name)}`);
  if (party.kind === "person") return { ...url, contact: [contact(party)] };
  return { name: party.name, ...url, ...(party.email === undefined ? {} : { contact: [{ email: party.email }] }) };
}

function writeComponent(component: Component, names: Names, lost: Lost): JsonObject {
  const { ref, type, group, name, version, description, scope, copyright, purl, cpe, originator } = component;
  const { licenses, properties: licenceProperties } = licencesOf(component, names);
  const properties = [
    ...component.properties,
    ...(component.fileName === undefined ? [] : [{ name: "bsi:component:filename", value: component.fileName }]),
    ...(component.comment === undefined ? [] : [{ name: "spdx:comment", value: component.comment }]),
    ...licenceProperties,
  ];
  const references = referencesOf(component, lost);
  const author =
    originator?.kind === "person" && originator.url === undefined ? { authors: [contact(originator)] } : undefined;
  return {
    type,
    "bom-ref": ref,
    ...(group === undefined ? {} : { group }),
    name,
    ...(version === undefined ? {} : { version }),
    ...(component.supplier === undefined ? {} : { supplier: entity(component.supplier, lost) }),
    ...(originator === undefined ? {} : (author ?? { manufacturer: entity(originator, lost) })),
    ...(description === undefined ? {} : { description }),
    ...(scope === undefined ? {} : { scope }),
    ...(component.hashes.length === 0
      ? {}
      : { hashes: component.hashes.map(({ algorithm, value }) => ({ alg: algorithm, content: value })) }),
    ...(licenses.length === 0 ? {} : { licenses }),
    ...(copyright === undefined ? {} : { copyright }),
    ...(cpe === undefined ? {} : { cpe }),
    ...(purl === undefined ? {} : { purl }),
    ...(references.length === 0 ? {} : { externalReferences: references }),
    ...(properties.length === 0 ? {} : { properties: properties.map(plain) }),
  };
}

/** Licences that have a name instead of an identifier; `shown`: with some component, where it stands alone. */
type Names = Map<string, { name: string; text?: string; shown: boolean }>;

function namedAlone(bom: Bom): Names {
  const names: Names = new Map();
  for (const { id, name, text } of bom.extracted) {
    if (name === undefined || name === "NONE" || licenceRef(name, text) !== id) continue;
    names.set(id, { name, shown: false, ...(text === undefined ? {} : { text }) });
  }
  for (const component of bom.components) {
    for (const item of licencesOf(component, names).listed) {
      const found = names.get(item);
      if (found !== undefined) found.shown = true;
    }
  }
  return names;
}

/** Named licences can be listed with the acknowledgement of each; of expressions there is but one. */
function licencesOf(
  { declared, concluded }: Component,
  names: Names,
): { licenses: Json[]; properties: Property[]; listed: string[] } {
  const all = [
    ...(declared === undefined ? [] : [{ expression: declared, acknowledgement: "declared" }]),
    ...(concluded === undefined ? [] : [{ expression: concluded, acknowledgement: "concluded" }]),
  ];
  const several = all.every(({ expression }) => expression === "NONE" || names.has(expression));
  const listed = several ? all : all.slice(0, 1);
  return {
    licenses: listed.map(({ expression, acknowledgement }) => licence(expression, acknowledgement, names)),
    properties:
      listed.length === all.length || concluded === undefined
        ? []
        : [{ name: "spdx:license-concluded", value: concluded }],
    listed: listed.map(({ expression }) => expression),
  };
}

function licence(expression: string, acknowledgement: string, names: Names): JsonObject {
  if (expression === "NONE") return { license: { name: "NONE", acknowledgement } };
  const named = names.get(expression);
  if (named === undefined) return { expression, acknowledgement };
  const { name, text } = named;
  return { license: { name, acknowledgement, ...(text === undefined ? {} : { text: { content: text } }) } };
}

function referencesOf(component: Component, lost: Lost): JsonObject[] {
  const all: Reference[] = [
    ...(component.homepage === undefined ? [] : [{ type: "website", url: component.homepage }]),
    ...(component.download === undefined ? [] : [{ type: "distribution", url: component.download }]),
    ...component.references,
  ];
  return all.flatMap(({ type, url, comment }) => {
    const known = type === "website" || type === "distribution" || REFERENCE_TYPES.has(type);
    if (!known || !isIri(url)) {
      lost.add(`${shown(component.ref)}: the reference ${shown(`${type} ${url}`)}`);
      return [];
    }
    return [{ type, url, ...(comment === undefined ? {} : { comment }) }];
  });
}

/** An IRI reference by its characters (RFC 3987); what is not one would make the document invalid. */
function isIri(url: string): boolean {
  return url !== "" && /^(?:[^\s<>"{}|\\^`%\u0000-\u0020]|%[0-9A-Fa-f]{2})*$/u.test(url);
}

function compositionsOf(bom: Bom): JsonObject[] {
  const aggregates = [...new Set(bom.completeness.map(({ is }) => is))].sort();
  return aggregates.map((aggregate) => {
    const refs = (what: "dependencies" | "parts"): string[] =>
      bom.completeness.filter((one) => one.is === aggregate && one.what === what).map(({ of }) => of);
    const [dependencies, assemblies] = [refs("dependencies"), refs("parts")];
    return {
      aggregate,
      ...(assemblies.length === 0 ? {} : { assemblies }),
      ...(dependencies.length === 0 ? {} : { dependencies }),
    };
  });
}
