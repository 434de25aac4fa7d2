/** What a registry asks for with 401: RFC 9110, section 11.6.1; RFC 6750, section 3. */
export interface Challenge {
  /** Lower case. */
  scheme: string;
  /** Names in lower case. */
  parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const MAX_HEADER = 8192;

/**
 * The challenges of a `WWW-Authenticate` header, several of which may stand in
 * one line. What cannot be read ends the list: a registry that sends it is told
 * that it asks for nothing we know.
 */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, MAX_HEADER);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const skip = (pattern: RegExp): void => {
    while (at < text.length && pattern.test(text[at] ?? "")) at++;
  };
  const token = (): string | undefined => {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  for (;;) {
    skip(/[\s,]/);
    const name = token();
    if (name === undefined) return challenges;
    skip(/[ \t]/);
    const current = challenges.at(-1);
    if (text[at] !== "=" || current === undefined) {
      challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
      continue;
    }
    at++;
    skip(/[ \t]/);
    const value = text[at] === '"' ? quoted(text, at) : undefined;
    if (value !== undefined) at = value.end;
    const plain = value?.value ?? token();
    if (plain === undefined) return challenges;
    if (!current.parameters.has(name.toLowerCase())) current.parameters.set(name.toLowerCase(), plain);
  }
}

function quoted(text: string, start: number): { value: string; end: number } | undefined {
  let value = "";
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '"') return { value, end: at + 1 };
    if (text[at] === "\\") at++;
    value += text[at] ?? "";
  }
  return undefined;
}
