/** Reads the fields of a predicate; each throws `input`, naming the field and what is there instead. */
import { BitforbitError } from "../errors.ts";
import { isObject, type Json, type JsonObject } from "../json.ts";

const MOST_ITEMS = 100_000;

export function textAt(parent: JsonObject, name: string): string {
  const value = parent[name];
  if (typeof value === "string" && value !== "" && value.isWellFormed()) return value;
  throw wrong(name, value, "a text");
}

export function optionalText(parent: JsonObject, name: string): string | undefined {
  return parent[name] === undefined ? undefined : textAt(parent, name);
}

export function objectAt(parent: JsonObject, name: string): JsonObject {
  const value = parent[name];
  if (isObject(value)) return value;
  throw wrong(name, value, "an object");
}

export function objectsAt(parent: JsonObject, name: string): JsonObject[] {
  const value = parent[name];
  if (Array.isArray(value) && value.length <= MOST_ITEMS && value.every(isObject)) return value;
  throw wrong(name, value, "a list of objects");
}

/** A list of texts, without one twice; none where it may be missing and is. */
export function textsAt(parent: JsonObject, name: string, missing?: "may be missing"): string[] {
  const value = parent[name];
  if (value === undefined && missing !== undefined) return [];
  const texts = Array.isArray(value) ? value.filter((item) => typeof item === "string" && item !== "") : [];
  if (!Array.isArray(value) || texts.length !== value.length || value.length > MOST_ITEMS) {
    throw wrong(name, value, "a list of texts");
  }
  if (new Set(texts).size !== texts.length) throw wrong(name, value, "a list without one text twice");
  return texts as string[];
}

export function choiceAt<T extends string>(parent: JsonObject, name: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === parent[name]);
  if (found !== undefined) return found;
  throw wrong(name, parent[name], `one of ${choices.join(", ")}`);
}

/** RFC 3339; returns milliseconds since 1970. */
export function timeAt(parent: JsonObject, name: string): number {
  const value = textAt(parent, name);
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;
  const at = form.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) throw wrong(name, value, "a time (RFC 3339)");
  return at;
}

/** An in-toto digest set: at least one digest, in lower-case hexadecimal by algorithm. */
export function digestSetAt(parent: JsonObject, name: string): Record<string, string> {
  const entries = Object.entries(objectAt(parent, name));
  const good =
    entries.length > 0 && entries.every(([, value]) => typeof value === "string" && /^[0-9a-f]{8,}$/.test(value));
  if (!good) throw wrong(name, parent[name], "a set of digests in lower-case hexadecimal");
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Refuses fields that the type does not have; URIs name extensions, which it may have (in-toto, "Parsing rules"). */
export function onlyFields(parent: JsonObject, what: string, names: readonly string[]): void {
  const stranger = Object.keys(parent).find((name) => !names.includes(name) && !/^[a-z][a-z0-9+.-]*:\/\//.test(name));
  if (stranger === undefined) return;
  throw new BitforbitError("input", `${what} has the unknown field ${JSON.stringify(stranger.slice(0, 80))}`, {
    hint: `its fields are ${names.join(", ")}`,
  });
}

function wrong(name: string, value: Json | undefined, wanted: string): BitforbitError {
  const found = value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
  return new BitforbitError("input", `the predicate's ${name} is ${found}, not ${wanted}`);
}
