import { BitforbitError } from "../errors.ts";

export interface XmlElement {
  /** Without namespace prefix. */
  name: string;
  children: XmlElement[];
  /** Character data directly inside, joined; entities of XML itself decoded. */
  text: string;
}

const MAX_DEPTH = 64;
const MAX_BYTES = 16 << 20;
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/**
 * Elements and text of an XML 1.0 document, enough for pom.xml: no attributes,
 * no document type (so no entities that grow or read files). At most 64 levels
 * and 16 MiB. Throws `input` with the line, or `limit`.
 */
export function parseXml(text: string, what: string): XmlElement {
  if (text.length > MAX_BYTES) throw new BitforbitError("limit", `${what}: larger than ${MAX_BYTES} bytes`);
  const root: XmlElement = { name: "", children: [], text: "" };
  const open: XmlElement[] = [root];
  const fail = (at: number, reason: string): never => {
    throw new BitforbitError("input", `${what}:${text.slice(0, at).split("\n").length}: ${reason}`);
  };
  const skipTo = (from: number, end: string): number => {
    const at = text.indexOf(end, from);
    return at < 0 ? fail(from, `no ${JSON.stringify(end)} after this`) : at + end.length;
  };
  for (let at = 0; at < text.length;) {
    const top = open.at(-1) ?? root;
    if (text[at] !== "<") {
      const end = text.indexOf("<", at);
      const data = text.slice(at, end < 0 ? text.length : end);
      if (open.length === 1 && data.replace(/^\ufeff/, "").trim() !== "") fail(at, "text outside the root element");
      top.text += decoded(data);
      at += data.length;
    } else if (text.startsWith("<!--", at)) at = skipTo(at + 4, "-->");
    else if (text.startsWith("<![CDATA[", at)) {
      const end = skipTo(at, "]]>");
      top.text += text.slice(at + 9, end - 3);
      at = end;
    } else if (text.startsWith("<?", at)) at = skipTo(at, "?>");
    else if (text.startsWith("<!", at)) fail(at, "a document type is not accepted");
    else {
      const end = tagEnd(text, at);
      if (end < 0) fail(at, "a tag that does not end");
      const tag = /^<(\/?)(?:[\w.-]+:)?([\w.-]+)(?=[\s/>])/.exec(text.slice(at, Math.min(end, at + 512)));
      const [, slash, name = ""] = tag ?? fail(at, "not a tag");
      if (slash === "/") {
        if (open.length === 1 || top.name !== name) fail(at, `</${name}> closes <${top.name}>`);
        open.pop();
      } else {
        const element: XmlElement = { name, children: [], text: "" };
        if (open.length === 1 && root.children.length > 0) fail(at, "a second root element");
        top.children.push(element);
        if (text[end - 2] !== "/") open.push(element);
        if (open.length > MAX_DEPTH)
          throw new BitforbitError("limit", `${what}: nested deeper than ${MAX_DEPTH} levels`);
      }
      at = end;
    }
  }
  if (open.length > 1) fail(text.length, `<${open.at(-1)?.name}> is not closed`);
  return root.children[0] ?? fail(0, "no element");
}

/** Offset after the `>` that ends the tag at `start`, or -1; `>` may stand in an attribute's value. */
function tagEnd(text: string, start: number): number {
  let quote: string | undefined;
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
    } else if (character === '"' || character === "'") quote = character;
    else if (character === ">") return at + 1;
    else if (character === "<") return -1;
  }
  return -1;
}

function decoded(data: string): string {
  return data.includes("&")
    ? data.replace(/&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(\w{1,8}));/g, (whole, decimal, hexadecimal, name) => {
        if (name !== undefined) return ENTITIES[name] ?? whole;
        const code = decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal);
        return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
      })
    : data;
}

/** Trimmed text of the first child of that name; undefined without one. */
export function childText(element: XmlElement, name: string): string | undefined {
  return child(element, name)?.text.trim();
}

export function child(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((item) => item.name === name);
}
