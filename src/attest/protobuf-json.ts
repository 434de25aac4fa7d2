/**
 * Protobuf's JSON, read strictly: fields that are known, each of its type,
 * bytes in canonical base64, 64-bit numbers as strings without leading zeros.
 */
import { fromBase64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type Json, type JsonObject, isObject } from "../json.ts";

/** The object `value`, with all the fields `names` and none but those and `optional`. */
export function fields(
  value: Json | undefined,
  what: string,
  names: readonly string[],
  optional: readonly string[] = [],
): JsonObject {
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not an object`);
  const unknown = Object.keys(value).find((name) => !names.includes(name) && !optional.includes(name));
  if (unknown !== undefined) {
    throw new BitforbitError("input", `${what} has the unknown field ${JSON.stringify(unknown.slice(0, 80))}`);
  }
  const missing = names.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) throw new BitforbitError("input", `${what} has no ${missing}`);
  return value;
}

/** The one field of `names` that is there, of a protobuf oneof. */
export function oneOf<Name extends string>(object: JsonObject, what: string, names: readonly Name[]): Name {
  const present = names.filter((name) => Object.hasOwn(object, name));
  const [first] = present;
  if (first === undefined) throw new BitforbitError("input", `${what} has none of ${names.join(", ")}`);
  if (present.length > 1) throw new BitforbitError("input", `${what} has several of one choice: ${present.join(", ")}`);
  return first;
}

export function only(value: Json | undefined, what: string): Json {
  if (!Array.isArray(value)) throw new BitforbitError("input", `${what} is not a list`);
  const [first] = value;
  if (value.length !== 1 || first === undefined) {
    throw new BitforbitError("input", `${what} has ${value.length} items, not one`);
  }
  return first;
}

/** A list that is left out when it is empty, of at most `most`. */
export function list(value: Json | undefined, what: string, most: number): Json[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.length <= most) return value;
  throw new BitforbitError("limit", `${what} is not a list of at most ${most}`);
}

export function string(object: JsonObject, name: string, what: string = name): string {
  const value = object[name];
  if (typeof value !== "string" || !value.isWellFormed()) throw new BitforbitError("input", `${what} is not a string`);
  return value;
}

export function octets(object: JsonObject, name: string, what: string = name): Uint8Array {
  const text = string(object, name, what);
  try {
    return fromBase64(text);
  } catch (error) {
    throw new BitforbitError("input", `${what} is not canonical base64`, { cause: error });
  }
}

/** A 64-bit number as protobuf JSON writes it: a string, decimal, without leading zeros. */
export function number(object: JsonObject, name: string): number {
  const text = string(object, name);
  const value = Number(text);
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(value)) {
    throw new BitforbitError("input", `${name} is ${JSON.stringify(text.slice(0, 40))}, not a whole number`);
  }
  return value;
}

/** As `number`; left out, it is 0. */
export function numberOrZero(object: JsonObject, name: string): number {
  return Object.hasOwn(object, name) ? number(object, name) : 0;
}
