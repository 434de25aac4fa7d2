/**
 * What is left out of the verdict, by path, by kind of leaf, by format, and
 * from profiles. It is compared like everything else and taken out afterwards,
 * so that every view can say how much it was.
 */
import { BitforbitError } from "../errors.ts";
import { isObject } from "../json.ts";
import type { Difference, Leaf } from "./difference.ts";
import { isNotCompared, kindOf, leafBytes } from "./findings.ts";

export interface Rule {
  /** As it was given: `path *.pyc`, `kind field:mtime`. */
  name: string;
  path?: string;
  kind?: string;
  reason?: string;
}

/** A rule and what it took out. */
export interface Excluded {
  rule: string;
  reason?: string;
  leaves: number;
  /** Of the larger side of each range. */
  bytes: number;
}

const KINDS = ["bytes", "text", "only-a", "only-b", "order", "type", "derived", "padding", "compressed"];

/** A rule for `--exclude GLOB`. */
export function pathRule(glob: string): Rule {
  return { name: `path ${glob}`, path: glob };
}

/** A rule for `--exclude-kind`. Throws `usage` on a kind that there is none of. */
export function kindRule(kind: string): Rule {
  if (!KINDS.includes(kind) && !/^(?:field|format):./.test(kind)) {
    throw new BitforbitError("usage", `no kind of difference is called ${JSON.stringify(kind)}`, {
      hint: `kinds are ${KINDS.join(", ")}, field:NAME and format:NAME`,
    });
  }
  return { name: `kind ${kind}`, kind };
}

/** The rules of a profile, a TOML document of `[[exclude]]` tables. Throws `input`, naming `file`. */
export function profileRules(profile: Readonly<Record<string, unknown>>, file: string): Rule[] {
  const fail = (what: string): never => {
    throw new BitforbitError("input", `${file}: ${what}`, {
      hint: "a profile is [[exclude]] tables with path, kind or both, and reason",
    });
  };
  const unknown = Object.keys(profile).find((key) => key !== "exclude");
  if (unknown !== undefined) fail(`${JSON.stringify(unknown)} is not known here`);
  const list = profile["exclude"] ?? [];
  if (!Array.isArray(list)) return fail("exclude is not a list of tables");
  return list.map((table, at): Rule => {
    const where = `exclude ${at + 1}`;
    if (!isObject(table)) return fail(`${where} is not a table`);
    for (const [key, value] of Object.entries(table)) {
      if (!["path", "kind", "reason"].includes(key)) fail(`${where}: ${JSON.stringify(key)} is not known here`);
      if (typeof value !== "string" || value === "") fail(`${where}: ${key} is not a text`);
    }
    const { path, kind, reason } = table as { path?: string; kind?: string; reason?: string };
    if (path === undefined && kind === undefined)
      fail(`${where} has neither path nor kind: it would exclude everything`);
    const rules = [path === undefined ? undefined : pathRule(path), kind === undefined ? undefined : kindRule(kind)];
    const [first, second] = rules.filter((rule) => rule !== undefined);
    return {
      ...first,
      ...second,
      name: [first?.name, second?.name].filter((name) => name !== undefined).join(" and "),
      ...(reason === undefined ? {} : { reason }),
    };
  });
}

/**
 * `difference` without the leaves that a rule takes out, each counted to the
 * first rule that does; nodes that are empty then go too. Every rule is in the
 * result, those that took out nothing as well.
 */
export function withoutExcluded(
  difference: Difference | undefined,
  rules: readonly Rule[],
): { difference: Difference | undefined; excluded: Excluded[] } {
  const excluded = rules.map(({ name, reason }): Excluded => ({
    rule: name,
    ...(reason === undefined ? {} : { reason }),
    leaves: 0,
    bytes: 0,
  }));
  if (difference === undefined || rules.length === 0) return { difference, excluded };
  const matchers = rules.map(matcherOf);
  const visit = (node: Difference, formats: readonly string[]): Difference | undefined => {
    const inside = [...formats, node.format];
    const children = node.children.flatMap((child): (Difference | Leaf)[] => {
      if (child.kind === "node") {
        const left = visit(child, inside);
        return left === undefined ? [] : [left];
      }
      const at = matchers.findIndex((matches) => matches(child, inside));
      const rule = excluded[at];
      if (rule === undefined) return [child];
      const { a, b } = leafBytes(child);
      rule.leaves++;
      rule.bytes += Math.max(a, b);
      return [];
    });
    return children.length === 0 ? undefined : { ...node, children };
  };
  return { difference: visit(difference, []), excluded };
}

type Matcher = (leaf: Leaf, formats: readonly string[]) => boolean;

function matcherOf({ path, kind }: Rule): Matcher {
  const byPath = path === undefined ? undefined : pathMatcher(path);
  return (leaf, formats) =>
    (byPath === undefined || byPath(leaf.path)) && (kind === undefined || kindMatches(kind, leaf, formats));
}

function kindMatches(kind: string, leaf: Leaf, formats: readonly string[]): boolean {
  // What was not compared is of no kind yet: only its place can be left out.
  if (isNotCompared(leaf.note)) return false;
  if (kind.startsWith("format:")) return formats.includes(kind.slice("format:".length));
  return kindOf(leaf) === kind || (leaf.what === "field" && kind === `field:${leaf.field}`);
}

/**
 * Whether a glob names a path or something that contains it. It is held
 * against every name on the way, and names joined by "/": `*.pyc` is a member
 * of any archive, `dist/**` everything beneath, `x.whl/METADATA` one member.
 */
export function pathMatcher(glob: string): (path: readonly string[]) => boolean {
  const patterns = alternatives(glob.replace(/\/$/, "")).map((pattern) => pattern.split("/"));
  const known = new Map<string, boolean>();
  return (path) => {
    const key = path.join("\0");
    let answer = known.get(key);
    if (answer === undefined) {
      const starts = path.map((_, at) => path.slice(at).join("/").split("/"));
      answer = starts.some((names) => patterns.some((pattern) => namesMatch(pattern, names)));
      if (known.size > 100_000) known.clear();
      known.set(key, answer);
    }
    return answer;
  };
}

/** `a{b,c}` is `ab` and `ac`; at most a thousand of them. */
function alternatives(glob: string): string[] {
  let open = [glob];
  for (let round = 0; round < 10; round++) {
    const next = open.flatMap((pattern) => {
      const braces = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/s.exec(pattern);
      if (braces === null) return [pattern];
      const [, before = "", list = "", after = ""] = braces;
      return list.split(",").map((choice) => before + choice + after);
    });
    if (next.length === open.length || next.length > 1000) break;
    open = next;
  }
  return open;
}

/** Whether the pattern matches the names, or the first of them: what contains the others. */
function namesMatch(pattern: readonly string[], names: readonly string[]): boolean {
  // Places in the pattern that the names so far lead to; `**` stays where it is.
  let places = spread(pattern, new Set([0]));
  for (const name of names) {
    const next = new Set<number>();
    for (const place of places) {
      const part = pattern[place];
      if (part === "**") next.add(place);
      else if (part !== undefined && nameMatches(part, name)) next.add(place + 1);
    }
    if (next.size === 0) return false;
    places = spread(pattern, next);
    if (places.has(pattern.length) || (places.has(pattern.length - 1) && pattern.at(-1) === "**")) return true;
  }
  return false;
}

function spread(pattern: readonly string[], places: Set<number>): Set<number> {
  // A set is walked in the order of insertion, what is added meanwhile as well. The last `**` stands for something.
  for (const place of places) if (pattern[place] === "**" && place < pattern.length - 1) places.add(place + 1);
  return places;
}

/** `*`, `?` and `[a-z]` in one name: greedy, with one way back, so that no name can make it slow. */
function nameMatches(pattern: string, name: string): boolean {
  const tokens = pattern.match(/\[[!^]?[^\]]+\]|./gsu) ?? [];
  const characters = [...name];
  let [at, token, star, mark] = [0, 0, -1, 0];
  while (at < characters.length) {
    const wanted = tokens[token];
    if (wanted === "*") {
      star = token++;
      mark = at;
    } else if (wanted !== undefined && characterMatches(wanted, characters[at] ?? "")) {
      at++;
      token++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++mark;
    } else return false;
  }
  while (tokens[token] === "*") token++;
  return token === tokens.length;
}

function characterMatches(token: string, character: string): boolean {
  if (token === "?") return true;
  if (token.length < 3 || !token.startsWith("[")) return token === character;
  const not = /^\[[!^]/.test(token);
  const body = token.slice(not ? 2 : 1, -1);
  const within = [...body.matchAll(/(.)-(.)|(.)/gsu)].some(([, from, to, one]) =>
    one === undefined
      ? from !== undefined && to !== undefined && character >= from && character <= to
      : one === character,
  );
  return within !== not;
}
