/** Where the private half of each key of a home is: `keys/places.json`, key id to URI. It is the home's own and never handed on. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDurable } from "../durable.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { isObject, parseJson, prettyJson } from "../json.ts";
import { readPublic } from "./key-files.ts";
import type { RingKey } from "./key-ring.ts";

/** Followed by the name of a file in the keys folder, without `.key`. */
export const FILE_SCHEME = "file:";

export type Places = ReadonlyMap<string, string>;

const pathIn = (home: string): string => join(home, "keys", "places.json");

export async function readPlaces(home: string): Promise<Places> {
  const path = pathIn(home);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return new Map();
    throw error;
  }
  const value = parseJson(text, path);
  if (!isObject(value)) throw new BitforbitError("input", `${path} is not an object of key ids and places`);
  return new Map(
    Object.entries(value).map(([keyId, place]) => {
      if (typeof place === "string" && !/^file:.*[/\\]|^file:\.|[\p{Cc}]/u.test(place)) return [keyId, place];
      throw new BitforbitError("input", `${path}: the place of ${keyId} is ${JSON.stringify(place).slice(0, 200)}`);
    }),
  );
}

/** Adds a place; the caller holds the lock of the key-ring. */
export async function addPlace(home: string, keyId: string, place: string): Promise<void> {
  const places = new Map(await readPlaces(home)).set(keyId, place);
  await writeDurable(pathIn(home), prettyJson(Object.fromEntries(places)), { mode: 0o600 });
}

/** The place of a key; a key of before there were places is in the file that has its role's name. */
export async function placeOf(home: string, { keyId, role }: RingKey, places: Places): Promise<string> {
  const place = places.get(keyId);
  if (place !== undefined) return place;
  const first = await readPublic(home, role).catch(() => undefined);
  if (first?.keyId === keyId) return `${FILE_SCHEME}${role}`;
  throw new BitforbitError("refused", `nothing says where the private half of the key ${keyId} is`, {
    hint: `restore ${pathIn(home)}, or have a new key with 'bitforbit keys rotate --role ${role}'`,
  });
}
