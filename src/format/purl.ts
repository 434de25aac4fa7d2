import { BitforbitError } from "../errors.ts";
import { purl, purlPart } from "../purl.ts";

/** A package URL in parts, decoded (ECMA-427, "Package-URL components"). */
export interface Purl {
  type: string;
  namespace?: string;
  name: string;
  version?: string;
  qualifiers?: Readonly<Record<string, string>>;
  subpath?: string;
}

/** Canonical text of a package URL; pypi, npm, deb and github names in lower case. Go module paths keep theirs: two that differ in case are two modules. */
export function formatPurl(parts: Purl): string {
  const type = parts.type.toLowerCase();
  const lower = type === "github" || type === "deb" || type === "npm";
  const namespace = lower ? parts.namespace?.toLowerCase() : parts.namespace;
  const text = purl(type, namespace, normalisedName(type, parts.name), parts.version, parts.qualifiers);
  const subpath = (parts.subpath ?? "").split("/").filter((part) => part !== "" && part !== "." && part !== "..");
  return subpath.length === 0 ? text : `${text}#${subpath.map(purlPart).join("/")}`;
}

function normalisedName(type: string, name: string): string {
  if (type === "pypi") return name.toLowerCase().replace(/[._-]+/g, "-");
  return type === "npm" || type === "deb" || type === "github" ? name.toLowerCase() : name;
}

/** Parts of a package URL. Throws `input`. */
export function parsePurl(text: string): Purl {
  const fail = (reason: string): never => {
    throw new BitforbitError("input", `not a package URL (${reason}): ${JSON.stringify(text.slice(0, 200))}`, {
      hint: "a package URL is written as pkg:npm/name@1.0.0",
    });
  };
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return fail("broken percent-encoding");
    }
  };
  const scheme = /^pkg:\/*([A-Za-z][A-Za-z0-9.-]*)\/([^?#]+)(?:\?([^#]*))?(?:#(.*))?$/.exec(text.slice(0, 4096));
  const [, type = "", path = "", query, fragment] = scheme ?? fail("it does not start with pkg:type/name");
  const at = path.lastIndexOf("@");
  const hasVersion = at > path.lastIndexOf("/") && at > 0 && path[at - 1] !== "/";
  const names = (hasVersion ? path.slice(0, at) : path).split("/").filter((part) => part !== "");
  const name = names.pop() ?? fail("no name");
  if (name.startsWith("@")) fail("no name");
  const qualifiers: Record<string, string> = {};
  for (const pair of query?.split("&") ?? []) {
    const equals = pair.indexOf("=");
    if (equals > 0) qualifiers[pair.slice(0, equals).toLowerCase()] = decode(pair.slice(equals + 1));
  }
  return {
    type: type.toLowerCase(),
    name: decode(name),
    ...(names.length === 0 ? {} : { namespace: names.map(decode).join("/") }),
    ...(hasVersion ? { version: decode(path.slice(at + 1)) } : {}),
    ...(Object.keys(qualifiers).length === 0 ? {} : { qualifiers }),
    ...(fragment === undefined ? {} : { subpath: decode(fragment) }),
  };
}
