import { BitforbitError } from "../errors.ts";
import { callSite, codeItem } from "./dex-code.ts";
import { type Dex, DexReader } from "./dex-file.ts";

/**
 * What lies in the data of a DEX file, found from the classes on: each item by
 * the first that refers to it. Items are shared, and lie where the writer put
 * them; who else refers to one says so itself ("as of La/B;").
 */
export interface Member {
  index: number;
  flags: number;
  codeAt: number;
}

export interface ClassData {
  statics: Member[];
  instances: Member[];
  direct: Member[];
  virtual: Member[];
  end: number;
}

/** Offset to whose it is. */
export type Owners = Map<number, string>;

/** Classes of a DEX file, by the 32 bytes of each. */
export interface ClassDef {
  at: number;
  name: string;
  flags: number;
  superclass: number;
  interfacesAt: number;
  sourceFile: number;
  annotationsAt: number;
  dataAt: number;
  valuesAt: number;
}

const ROW = 32;

export function classDef(dex: Dex, index: number): ClassDef {
  const at = dex.tables.classes.offset + index * ROW;
  const word = (place: number): number => dex.file.u32(at + place * 4);
  return {
    at,
    name: dex.type(word(0)),
    flags: word(1),
    superclass: word(2),
    interfacesAt: word(3),
    sourceFile: word(4),
    annotationsAt: word(5),
    dataAt: word(6),
    valuesAt: word(7),
  };
}

export function classData(dex: Dex, at: number): ClassData {
  const reader = new DexReader(dex.file, at);
  const counts = [reader.uleb(), reader.uleb(), reader.uleb(), reader.uleb()];
  const members = (place: number, code: boolean): Member[] => {
    const found: Member[] = [];
    let index = 0;
    for (let count = counts[place] ?? 0; count > 0; count--) {
      index += reader.uleb();
      found.push({ index, flags: reader.uleb(), codeAt: code ? reader.uleb() : 0 });
    }
    return found;
  };
  const [statics, instances] = [members(0, false), members(1, false)];
  return { statics, instances, direct: members(2, true), virtual: members(3, true), end: reader.at };
}

export class DexItems {
  readonly dex: Dex;
  readonly data: Owners = new Map();
  readonly values: Owners = new Map();
  readonly code: Owners = new Map();
  readonly debug: Owners = new Map();
  readonly directories: Owners = new Map();
  readonly setLists: Owners = new Map();
  readonly sets: Owners = new Map();
  readonly annotations: Owners = new Map();
  /** Static fields whose values stand there, by the place of the values. */
  readonly fieldsOf: Map<number, string[]> = new Map();

  constructor(dex: Dex) {
    this.dex = dex;
    for (let index = 0; index < dex.tables.classes.count; index++) tolerated(() => this.#class(index));
    const sites = dex.sections.get(0x0007)?.count ?? 0;
    for (let index = 0; index < sites; index++) tolerated(() => this.#callSite(index));
  }

  #class(index: number): void {
    const { name, annotationsAt, dataAt, valuesAt } = classDef(this.dex, index);
    if (valuesAt !== 0) claim(this.values, valuesAt, `values of ${name}`);
    if (dataAt !== 0 && claim(this.data, dataAt, name)) {
      tolerated(() => this.#members(dataAt, valuesAt));
    }
    if (annotationsAt !== 0 && claim(this.directories, annotationsAt, name)) {
      for (const { owner, at, list } of directory(this.dex, annotationsAt, name)) this.#annotated(owner, at, list);
    }
  }

  #members(at: number, valuesAt: number): void {
    const { dex } = this;
    const { statics, direct, virtual } = classData(dex, at);
    if (valuesAt !== 0 && !this.fieldsOf.has(valuesAt)) {
      this.fieldsOf.set(
        valuesAt,
        statics.map(({ index }) => dex.fieldName(index)),
      );
    }
    for (const { index, codeAt } of [...direct, ...virtual]) {
      if (codeAt === 0 || this.code.has(codeAt)) continue;
      const name = dex.method(index);
      this.code.set(codeAt, name);
      tolerated(() => {
        const { debugAt } = codeItem(dex, codeAt);
        if (debugAt !== 0) claim(this.debug, debugAt, name);
      });
    }
  }

  #annotated(owner: string, at: number, list: boolean): void {
    if (!list) return void this.#set(owner, at);
    if (!claim(this.setLists, at, owner)) return;
    for (const [index, set] of offsets(this.dex, at).entries()) {
      if (set !== 0) this.#set(`parameter ${index + 1} of ${owner}`, set);
    }
  }

  #set(owner: string, at: number): void {
    if (!claim(this.sets, at, owner)) return;
    for (const item of offsets(this.dex, at)) {
      tolerated(() => {
        const reader = new DexReader(this.dex.file, item + 1);
        claim(this.annotations, item, `@${this.dex.type(reader.uleb())} on ${owner}`);
      });
    }
  }

  #callSite(index: number): void {
    const at = this.dex.callSiteAt(index);
    if (at !== undefined) claim(this.values, at, callSite(this.dex, index));
  }
}

/** A count of four bytes, then as many offsets. */
export function offsets(dex: Dex, at: number): number[] {
  const reader = new DexReader(dex.file, at);
  return Array.from({ length: checked(dex, reader, reader.u32(), 4) }, () => reader.u32());
}

function checked(dex: Dex, reader: DexReader, count: number, row: number): number {
  dex.file.check(reader.at, count * row);
  return count;
}

export interface Annotated {
  owner: string;
  /** How a line of the class calls it. */
  label: string;
  at: number;
  /** A list of sets, one a parameter. */
  list: boolean;
}

/** What of a class has annotations, and where; the last is where the directory ends. */
export function directory(dex: Dex, at: number, name: string): Annotated[] {
  const reader = new DexReader(dex.file, at);
  const own = reader.u32();
  const counts = [reader.u32(), reader.u32(), reader.u32()];
  const found: Annotated[] = own === 0 ? [] : [{ owner: name, label: "class", at: own, list: false }];
  for (const [kind, count] of counts.entries()) {
    checked(dex, reader, count, 8);
    for (let index = 0; index < count; index++) {
      const member = reader.u32();
      const owner = kind === 0 ? dex.field(member) : dex.method(member);
      const short = kind === 0 ? `field ${dex.fieldName(member)}` : `method ${dex.methodName(member)}`;
      const label = kind === 2 ? `parameters of ${short}` : short;
      found.push({ owner, label, at: reader.u32(), list: kind === 2 });
    }
  }
  return found;
}

export function directoryEnd(dex: Dex, at: number): number {
  const reader = new DexReader(dex.file, at + 4);
  return at + 16 + (reader.u32() + reader.u32() + reader.u32()) * 8;
}

function claim(owners: Owners, at: number, owner: string): boolean {
  if (owners.has(at)) return false;
  owners.set(at, owner);
  return true;
}

/** What leads nowhere names nothing; its bytes are then compared as they are. */
function tolerated(find: () => void): void {
  try {
    find();
  } catch (error) {
    if (!(error instanceof BitforbitError) || error.code === "limit") throw error;
  }
}
