/**
 * What a bill says and SPDX 2.3 has no field for, as an annotation of the
 * element that it is about: `cyclonedx: ` and a JSON object. Only what cannot
 * be worked out from SPDX's own fields is written there.
 */
import type { Completeness, Component, Creator, Party, Property } from "./bom.ts";
import type { Fields } from "./fields.ts";

const PREFIX = "cyclonedx: ";

/** Of a component. */
export interface ComponentExtras {
  type?: string;
  group?: string;
  scope?: NonNullable<Component["scope"]>;
  supplier?: Party;
  originator?: Party;
  properties?: Property[];
  completeness?: Pick<Completeness, "what" | "is">[];
}

/** Of the document. */
export interface DocumentExtras {
  creators?: Creator[];
  lifecycles?: string[];
  properties?: Property[];
}

/** The annotation's text, or undefined where there is nothing to say. */
export function extrasText(extras: ComponentExtras | DocumentExtras): string | undefined {
  const said = Object.fromEntries(Object.entries(extras).filter(([, value]) => value !== undefined));
  return Object.keys(said).length === 0 ? undefined : PREFIX + JSON.stringify(said);
}

/** Undefined for an annotation that is not of this kind. */
export function componentExtras(annotation: Fields): ComponentExtras | undefined {
  const read = extrasOf(annotation);
  if (read === undefined) return undefined;
  const scope = read.text("scope");
  const type = read.text("type");
  const group = read.text("group");
  const supplier = partyOf(read.object("supplier"));
  const originator = partyOf(read.object("originator"));
  const completeness = read.objects("completeness").map((one) => {
    const what = one.text("what") === "parts" ? ("parts" as const) : ("dependencies" as const);
    const is = one.needed("is");
    one.done();
    return { what, is };
  });
  const properties = propertiesOf(read);
  read.done();
  return {
    ...(type === undefined ? {} : { type }),
    ...(group === undefined ? {} : { group }),
    ...(scope === "required" || scope === "optional" || scope === "excluded" ? { scope } : {}),
    ...(supplier === undefined ? {} : { supplier }),
    ...(originator === undefined ? {} : { originator }),
    properties,
    completeness,
  };
}

/** Undefined for an annotation that is not of this kind. */
export function documentExtras(annotation: Fields): DocumentExtras | undefined {
  const read = extrasOf(annotation);
  if (read === undefined) return undefined;
  const extras: DocumentExtras = {
    ...(read.has("creators") ? { creators: read.objects("creators").map(creatorOf) } : {}),
    lifecycles: read.texts("lifecycles"),
    properties: propertiesOf(read),
  };
  read.done();
  return extras;
}

function extrasOf(annotation: Fields): Fields | undefined {
  const comment = annotation.needed("comment");
  if (!comment.startsWith(`${PREFIX}{`)) return undefined;
  annotation.skip("annotationDate", "annotationType", "annotator");
  annotation.done();
  return annotation.inside(comment.slice(PREFIX.length), "comment");
}

const propertiesOf = (read: Fields): Property[] =>
  read.objects("properties").map((one) => {
    const property = { name: one.text("name") ?? "", value: one.text("value") ?? "" };
    one.done();
    return property;
  });

function partyOf(read: Fields | undefined): Party | undefined {
  if (read === undefined) return undefined;
  const party = partyFields(read);
  read.done();
  return party;
}

/** A party as JSON of our own, in annotations and in properties. */
export function partyFields(read: Fields): Party {
  const [email, url] = [read.text("email"), read.text("url")];
  return {
    kind: read.text("kind") === "person" ? "person" : "organization",
    name: read.needed("name"),
    ...(email === undefined ? {} : { email }),
    ...(url === undefined ? {} : { url }),
  };
}

function creatorOf(read: Fields): Creator {
  const tool = read.text("kind") === "tool";
  const version = tool ? read.text("version") : undefined;
  const creator: Creator = tool
    ? { kind: "tool", name: read.needed("name"), ...(version === undefined ? {} : { version }) }
    : partyFields(read);
  read.done();
  return creator;
}
