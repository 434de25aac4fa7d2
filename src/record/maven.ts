/** Maven's repository layout in URLs: `group/artifact/version/artifact-version[-classifier].type` below a base. */
import { mavenPurl } from "../format/maven-pom.ts";
import { childText, child, parseXml } from "../format/xml.ts";

export interface MavenFile {
  group: string;
  artifact: string;
  version: string;
  type: string;
  classifier: string | undefined;
  /** URL of the version's folder. */
  home: string;
}

const TYPES = /\.(jar|war|ear|aar|zip|tar\.gz|pom)$/;

/**
 * The base of the repository that a pom lies in: what stands in its URL before
 * the layout's path. The path alone does not tell where a group begins.
 */
export function mavenBase(pom: string, url: string): string | undefined {
  let group: string | undefined;
  let artifact: string | undefined;
  let version: string | undefined;
  try {
    const project = parseXml(pom, url);
    if (project.name !== "project") return undefined;
    const parent = child(project, "parent");
    const value = (name: string): string | undefined =>
      childText(project, name)?.trim() ?? (parent === undefined ? undefined : childText(parent, name)?.trim());
    [group, version] = [value("groupId"), value("version")];
    artifact = childText(project, "artifactId")?.trim();
  } catch {
    return undefined;
  }
  if (group === undefined || artifact === undefined || version === undefined) return undefined;
  const at = url.lastIndexOf(`/${group.replaceAll(".", "/")}/${artifact}/${version}/${artifact}-`);
  return at < 0 ? undefined : url.slice(0, at + 1);
}

/** What lies at a URL below `base`. */
export function mavenFile(url: string, base: string): MavenFile | undefined {
  if (!url.startsWith(base) || url.includes("?")) return undefined;
  const parts = url.slice(base.length).split("/").map(decoded);
  const [file = "", version = "", artifact = ""] = [parts.pop(), parts.pop(), parts.pop()];
  const type = TYPES.exec(file)?.[1];
  if (type === undefined || parts.length === 0 || !file.startsWith(`${artifact}-`)) return undefined;
  const stem = file.slice(artifact.length + 1, -(type.length + 1));
  // A snapshot's file has a time stamp in the place of SNAPSHOT.
  const stamp = /^\d{8}\.\d{6}-\d+/.exec(stem.slice(version.length - 8))?.[0] ?? "SNAPSHOT";
  const start = [version, version.replace(/SNAPSHOT$/, stamp)].find(
    (text) => stem === text || stem.startsWith(`${text}-`),
  );
  if (start === undefined) return undefined;
  const classifier = stem.slice(start.length + 1) || undefined;
  const home = url.slice(0, url.lastIndexOf("/") + 1);
  return { group: parts.join("."), artifact, version, type, classifier, home };
}

export function mavenFilePurl({ group, artifact, version, type, classifier }: MavenFile): string {
  return mavenPurl(group, artifact, version, type, classifier);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
