/** Maven's pom.xml (POM Reference) and the text that `dependency:tree` writes. */
import { BitforbitError } from "../errors.ts";
import type { Material } from "../material.ts";
import { purl } from "../purl.ts";
import { MAX_MATERIALS, materialList } from "./material-list.ts";
import { child, childText, parseXml, type XmlElement } from "./xml.ts";

const MAX_PROPERTY_DEPTH = 16;
const MAX_PROPERTY_LENGTH = 4096;

/** `pkg:maven/group/artifact@version`; type jar and no classifier are the default. */
export function mavenPurl(
  group: string,
  artifact: string,
  version?: string,
  type = "jar",
  classifier?: string,
): string {
  return purl("maven", group, artifact, version, { type: type === "jar" ? undefined : type, classifier });
}

/** Scopes that the product does not need when it runs. */
function runtimeScope(scope: string | undefined): boolean {
  return scope !== "test" && scope !== "provided" && scope !== "system";
}

/**
 * The direct dependencies of a pom.xml, `${property}` and
 * `dependencyManagement` of the same file applied. What a parent or a BOM
 * decides is not known here: such a dependency has no version. No checksums: a
 * pom has none. Throws `input`.
 */
export function pomMaterials(text: string, what: string): Material[] {
  const project = parseXml(text, what);
  if (project.name !== "project")
    throw new BitforbitError("input", `${what}: the root is <${project.name}>, not <project>`);
  const value = interpolation(project, what);
  const managed = new Map<string, XmlElement>();
  const management = child(project, "dependencyManagement");
  for (const item of management === undefined ? [] : dependenciesIn(management)) {
    managed.set(`${value(item, "groupId")}:${value(item, "artifactId")}`, item);
  }
  return materialList(
    dependenciesIn(project).map((item) => {
      const [group, artifact] = [value(item, "groupId"), value(item, "artifactId")];
      if (group === undefined || artifact === undefined)
        throw new BitforbitError("input", `${what}: a dependency has no groupId or artifactId`);
      const rule = managed.get(`${group}:${artifact}`);
      const version = value(item, "version") ?? (rule === undefined ? undefined : value(rule, "version"));
      const scope = value(item, "scope") ?? (rule === undefined ? undefined : value(rule, "scope"));
      return {
        kind: "dependency" as const,
        purl: mavenPurl(group, artifact, version, value(item, "type"), value(item, "classifier")),
        name: `${group}:${artifact}`,
        ...(version === undefined ? {} : { version }),
        checksums: {},
        runtime: runtimeScope(scope),
      };
    }),
    what,
  );
}

function dependenciesIn(element: XmlElement): XmlElement[] {
  return (child(element, "dependencies")?.children ?? []).filter((item) => item.name === "dependency");
}

/** Reads a child's text with properties filled in; undefined where it is empty or a property is not of this file. */
function interpolation(project: XmlElement, what: string): (element: XmlElement, name: string) => string | undefined {
  const properties = new Map<string, string>();
  for (const item of child(project, "properties")?.children ?? []) properties.set(item.name, item.text.trim());
  const parent = child(project, "parent");
  for (const key of ["groupId", "artifactId", "version"]) {
    const own = childText(project, key) ?? (parent === undefined ? undefined : childText(parent, key));
    if (own !== undefined) for (const prefix of ["project.", "pom."]) properties.set(`${prefix}${key}`, own);
  }
  // Each property is filled once: nested ones could otherwise grow without end.
  const filled = new Map<string, string | undefined>();
  const open = new Set<string>();
  const fill = (text: string): string | undefined => {
    let known = true;
    const result = text.replace(/\$\{([^{}]{1,256})\}/g, (_, name: string) => {
      const inner = filledProperty(name);
      known &&= inner !== undefined;
      return inner ?? "";
    });
    if (result.length > MAX_PROPERTY_LENGTH)
      throw new BitforbitError("limit", `${what}: a property is longer than ${MAX_PROPERTY_LENGTH} characters`);
    return known ? result : undefined;
  };
  const filledProperty = (name: string): string | undefined => {
    const text = properties.get(name);
    if (text === undefined || filled.has(name)) return filled.get(name);
    if (open.has(name) || open.size > MAX_PROPERTY_DEPTH)
      throw new BitforbitError("input", `${what}: the property ${name} refers to itself`);
    open.add(name);
    filled.set(name, text.length > MAX_PROPERTY_LENGTH ? undefined : fill(text));
    open.delete(name);
    return filled.get(name);
  };
  return (element, name) => {
    const text = childText(element, name);
    if (text === undefined || text === "") return undefined;
    return text.length > MAX_PROPERTY_LENGTH ? undefined : fill(text)?.trim() || undefined;
  };
}

/**
 * The whole graph from `mvn dependency:tree -DoutputType=text`, for one module
 * or several appended: every dependency with what it depends on and whether it
 * is needed to run. The modules themselves are left out. Throws `input` naming
 * the line.
 */
export function mavenTreeMaterials(text: string, what: string): Material[] {
  const found: Material[] = [];
  const modules = new Set<string>();
  const above: (Material | undefined)[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    if (index > MAX_MATERIALS) throw new BitforbitError("limit", `${what}: more than ${MAX_MATERIALS} lines`);
    const [, indent = "", rest = ""] = /^((?:\|  |   |\+- |\\- )*)(\S.*)$/.exec(line) ?? [];
    const parts = rest.replace(/ \(.*\)$/, "").split(":");
    const depth = indent.length / 3;
    const enough = depth === 0 ? parts.length === 4 || parts.length === 5 : parts.length === 5 || parts.length === 6;
    if (!enough || parts.some((part) => part === "") || depth > above.length) {
      throw new BitforbitError(
        "input",
        `${what}:${index + 1}: not a line of a dependency tree: ${JSON.stringify(line.slice(0, 120))}`,
      );
    }
    const scope = depth === 0 ? undefined : parts.pop();
    const [group = "", artifact = "", type = "jar"] = parts;
    const version = parts.at(-1) ?? "";
    const material: Material = {
      kind: "dependency",
      purl: mavenPurl(group, artifact, version, type, parts.length === 5 ? parts[3] : undefined),
      name: `${group}:${artifact}`,
      version,
      checksums: {},
      runtime: runtimeScope(scope),
      dependsOn: [],
    };
    above.length = depth;
    if (depth === 0) modules.add(material.purl ?? "");
    else {
      above.at(-1)?.dependsOn?.push(material.purl ?? "");
      found.push(material);
    }
    above.push(material);
  }
  return materialList(
    found
      .filter((material) => !modules.has(material.purl ?? ""))
      .map((material) => ({ ...material, dependsOn: (material.dependsOn ?? []).filter((purl) => !modules.has(purl)) })),
    what,
  );
}
