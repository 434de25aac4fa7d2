/** Reads objects of a foreign document field by field, and names in the end what nobody asked for. */
import { BitforbitError } from "../errors.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import type { Lost } from "./bom.ts";

export class Fields {
  readonly path: string;
  readonly #object: JsonObject;
  readonly #lost: Lost;
  readonly #taken = new Set<string>();

  constructor(value: Json | undefined, path: string, lost: Lost) {
    if (!isObject(value)) throw new BitforbitError("input", `${path || "the SBOM"} is not an object`);
    this.#object = value;
    this.path = path;
    this.#lost = lost;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  text(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === "string" && value.isWellFormed()) return value;
    throw new BitforbitError("input", `${this.#at(name)} is not a string`);
  }

  /** Throws `input` when it is missing. */
  needed(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new BitforbitError("input", `${this.#at(name)} is missing`);
    return value;
  }

  texts(name: string): string[] {
    return this.#list(name).map((item, at) => {
      if (typeof item === "string" && item.isWellFormed()) return item;
      throw new BitforbitError("input", `${this.#at(name)}[${at}] is not a string`);
    });
  }

  object(name: string): Fields | undefined {
    const value = this.#take(name);
    return value === undefined ? undefined : new Fields(value, this.#at(name), this.#lost);
  }

  objects(name: string): Fields[] {
    return this.#list(name).map((item, at) => new Fields(item, `${this.#at(name)}[${at}]`, this.#lost));
  }

  /** JSON that stands in a text of this object. */
  inside(text: string, name: string): Fields {
    return new Fields(parseJson(text, this.#at(name)), this.#at(name), this.#lost);
  }

  isList(name: string): boolean {
    return Array.isArray(this.#object[name]);
  }

  /** Read and known to say nothing more than the model does. */
  skip(...names: string[]): void {
    for (const name of names) this.#taken.add(name);
  }

  lose(what: string): void {
    this.#lost.add(`${this.path === "" ? "" : `${this.path}: `}${what}`);
  }

  /** Names every field that was not asked for and says something. */
  done(): void {
    for (const [name, value] of Object.entries(this.#object)) {
      if (this.#taken.has(name) || value === null || value === "") continue;
      if (Array.isArray(value) && value.length === 0) continue;
      this.#lost.add(this.#at(name));
    }
  }

  #take(name: string): Json | undefined {
    this.#taken.add(name);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  #list(name: string): Json[] {
    const value = this.#take(name);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    throw new BitforbitError("input", `${this.#at(name)} is not a list`);
  }

  #at(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}
