/** The cases of `policy test`, TOML: artifacts with their evidence, and what a policy must decide on them. */
import { parse } from "smol-toml";
import * as v from "valibot";
import { BitforbitError, messageOf } from "../errors.ts";

export interface Case {
  name: string;
  /** A file or a digest. */
  artifact: string;
  bundles: readonly string[];
  allow: boolean;
  /** Which check must deny. */
  decidedBy?: string | undefined;
  /** The time at which it is decided, RFC 3339; now, otherwise. */
  at?: string | undefined;
}

const MAX_CASES = 1000;
const MAX_TEXT = 1 << 20;
const text = v.pipe(v.string(), v.nonEmpty());
const Shape = v.strictObject({
  case: v.pipe(
    v.array(
      v.strictObject({
        name: text,
        artifact: text,
        bundles: v.optional(v.array(text), []),
        allow: v.boolean(),
        decidedBy: v.optional(text),
        at: v.optional(v.pipe(v.string(), v.isoTimestamp("a time is written as 2030-01-31T00:00:00Z"))),
      }),
    ),
    v.minLength(1),
    v.maxLength(MAX_CASES),
  ),
});

/** Throws `input`, naming `path` and the field. */
export function parseCases(source: string, path: string): Case[] {
  if (source.length > MAX_TEXT) throw new BitforbitError("limit", `${path} is larger than ${MAX_TEXT} characters`);
  let value: unknown;
  try {
    value = parse(source);
  } catch (error) {
    throw new BitforbitError("input", `cannot parse ${path}: ${messageOf(error).split("\n")[0]}`, { cause: error });
  }
  const parsed = v.safeParse(Shape, value);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new BitforbitError("input", `${path}: ${v.getDotPath(issue) ?? "the cases"}: ${issue.message}`, {
      hint: 'a case is [[case]] with name, artifact, bundles and allow; one that denies may have decidedBy = "sbom"',
    });
  }
  const cases = parsed.output.case;
  const wrong = cases.find(({ allow, decidedBy }) => allow && decidedBy !== undefined);
  if (wrong !== undefined)
    throw new BitforbitError("input", `${path}: ${wrong.name} allows, so nothing decides against it`);
  return cases;
}
