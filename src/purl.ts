/**
 * A package URL (purl specification, ECMA-427):
 * `pkg:type/namespace/name@version?qualifiers`. Each part is UTF-8, percent-encoded
 * but for letters, digits and `.-_~:`; `/` parts the namespace; qualifiers are
 * in order of their keys, empty ones left out. An npm scope is a namespace
 * (`%40types`). Letter case is kept but for the type: Go modules and old npm
 * packages differ by it alone. The caller gives a pypi name normalised.
 */
export function purl(
  type: string,
  namespace: string | undefined,
  name: string,
  version?: string,
  qualifiers: Readonly<Record<string, string | undefined>> = {},
): string {
  const spaces = (namespace ?? "").split("/").filter((part) => part !== "");
  const path = [type.toLowerCase(), ...spaces.map(purlPart), purlPart(name)].join("/");
  const at = version === undefined || version === "" ? "" : `@${purlPart(version)}`;
  const pairs = Object.keys(qualifiers)
    .sort()
    .flatMap((key) => {
      const value = qualifiers[key];
      return value === undefined || value === "" ? [] : [`${key.toLowerCase()}=${purlPart(value)}`];
    });
  return `pkg:${path}${at}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
}

/** One part, percent-encoded (ECMA-427, "Character encoding"). Lone surrogates become U+FFFD: a name from a hostile file must not throw. */
export function purlPart(part: string): string {
  return encodeURIComponent(part.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%3A", ":");
}

/** A purl without its version: what stays the same when a dependency is updated. */
export function purlWithoutVersion(text: string): string {
  return text.replace(/@[^?#]*/, "");
}
