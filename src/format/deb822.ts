import { BitforbitError } from "../errors.ts";

/** One paragraph: field names in lower case; the lines of a multi-line value joined by LF, without their leading space. */
export type Paragraph = ReadonlyMap<string, string>;

const MAX_BYTES = 16 << 20;

/**
 * Paragraphs of a Debian control file, .dsc or .sources file (deb822(5)). An
 * OpenPGP clear-text armour around it is taken off, not checked. Throws `input`
 * with the line, or `limit`.
 */
export function parseDeb822(text: string, what: string): Paragraph[] {
  if (text.length > MAX_BYTES) throw new BitforbitError("limit", `${what}: larger than ${MAX_BYTES} bytes`);
  const paragraphs: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  let field: string | undefined;
  for (const [index, line] of withoutArmour(text).split("\n").entries()) {
    if (line.startsWith("#")) continue;
    if (line.trim() === "") {
      current = undefined;
      continue;
    }
    if (/^[ \t]/.test(line)) {
      if (current === undefined || field === undefined) {
        throw new BitforbitError("input", `${what}:${index + 1}: a continuation line without a field`);
      }
      current.set(field, `${current.get(field) ?? ""}\n${line.trim()}`);
      continue;
    }
    const match = /^([!-9;-~]+):[ \t]*(.*?)[ \t\r]*$/.exec(line);
    if (match === null) throw new BitforbitError("input", `${what}:${index + 1}: not a field: ${line.slice(0, 60)}`);
    field = (match[1] ?? "").toLowerCase();
    if (current === undefined) paragraphs.push((current = new Map()));
    if (current.has(field)) throw new BitforbitError("input", `${what}:${index + 1}: ${match[1]} a second time`);
    current.set(field, match[2] ?? "");
  }
  return paragraphs;
}

function withoutArmour(text: string): string {
  const clear = /^-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[^\n]+\n)*\r?\n([^]*?)^-----BEGIN PGP SIGNATURE-----/m.exec(
    text,
  );
  return clear === null ? text : (clear[1] ?? "").replaceAll(/^- /gm, "");
}
