import { flagNames } from "./class-attributes.ts";
import { CALL_SITES, type Dex, DexReader, METHOD_HANDLES, NO_INDEX } from "./dex-file.ts";
import { classData, classDef, type ClassDef, type DexItems, directory, type Member, offsets } from "./dex-items.ts";
import { encodedAnnotation, encodedArray } from "./dex-values.ts";
import { quoted } from "./listing.ts";

/** Tables of a DEX file and what classes consist of, as lines: each tells what its own bytes lead to. */

/** Access flags by name; the last two are Dalvik's own. */
export function dexFlags(flags: number, of: "class" | "field" | "method"): string {
  const names = flags % 0x10000 === 0 && flags !== 0 ? [] : [flagNames(flags & 0xffff, of)];
  if ((flags & 0x10000) !== 0) names.push("constructor");
  if ((flags & 0x20000) !== 0) names.push("declared-synchronized");
  const rest = flags >>> 18;
  if (rest !== 0) names.push(`0x${(rest * 2 ** 18).toString(16)}`);
  return names.join(" ");
}

export function* typeLines(dex: Dex): Iterable<string> {
  for (let index = 0; index < dex.tables.types.count; index++) yield dex.type(index);
}

export function* prototypeLines(dex: Dex): Iterable<string> {
  const { count, offset } = dex.tables.prototypes;
  for (let index = 0; index < count; index++) {
    yield `${dex.prototype(index)} (${dex.name(dex.file.u32(offset + index * 12))})`;
  }
}

export function* fieldLines(dex: Dex): Iterable<string> {
  for (let index = 0; index < dex.tables.fields.count; index++) yield dex.field(index);
}

export function* methodLines(dex: Dex): Iterable<string> {
  for (let index = 0; index < dex.tables.methods.count; index++) yield dex.method(index);
}

export function* handleLines(dex: Dex): Iterable<string> {
  const count = dex.sections.get(METHOD_HANDLES)?.count ?? 0;
  for (let index = 0; index < count; index++) yield dex.methodHandle(index);
}

export function* callSiteLines({ dex, values }: DexItems): Iterable<string> {
  const count = dex.sections.get(CALL_SITES)?.count ?? 0;
  for (let index = 0; index < count; index++) yield values.get(dex.callSiteAt(index) ?? 0) ?? "no call site";
}

export function* classLines(items: DexItems, def: ClassDef): Iterable<string> {
  const { dex, data, directories } = items;
  const { name, flags, superclass, interfacesAt, sourceFile, annotationsAt, dataAt, valuesAt } = def;
  yield `access flags: ${dexFlags(flags, "class")}`;
  yield `superclass: ${dex.type(superclass)}`;
  for (const type of dex.typeList(interfacesAt)) yield `implements ${type}`;
  yield `source file: ${sourceFile === NO_INDEX ? "none" : quoted(dex.string(sourceFile))}`;
  yield `annotations: ${whose(annotationsAt, directories, name)}`;
  yield `members: ${whose(dataAt, data, name)}`;
  yield `static values: ${whose(valuesAt, items.values, `values of ${name}`)}`;
}

/** Whether something is there, and whose when it is another's. */
function whose(at: number, owners: ReadonlyMap<number, string>, name: string): string {
  if (at === 0) return "none";
  const owner = owners.get(at);
  return owner === name ? "own" : `as of ${owner ?? "nobody"}`;
}

export function* memberLines(items: DexItems, at: number): Iterable<string> {
  const { dex, code } = items;
  const { statics, instances, direct, virtual } = classData(dex, at);
  const fields = function* (kind: string, members: readonly Member[]): Iterable<string> {
    for (const { index, flags } of members) yield `${kind} field ${dex.fieldName(index)}: ${dexFlags(flags, "field")}`;
  };
  yield* fields("static", statics);
  yield* fields("instance", instances);
  const methods = function* (kind: string, members: readonly Member[]): Iterable<string> {
    for (const { index, flags, codeAt } of members) {
      const owner = codeAt === 0 ? undefined : code.get(codeAt);
      const shared = owner === undefined || owner === dex.method(index) ? "" : `, code as of ${owner}`;
      const named = `${kind} method ${dex.methodName(index)}: ${dexFlags(flags, "method")}`;
      yield `${named}${codeAt === 0 ? ", no code" : shared}`;
    }
  };
  yield* methods("direct", direct);
  yield* methods("virtual", virtual);
}

export function* valueLines(items: DexItems, at: number): Iterable<string> {
  const names = items.fieldsOf.get(at) ?? [];
  for (const [index, value] of encodedArray(items.dex, new DexReader(items.dex.file, at)).entries()) {
    yield names[index] === undefined ? value : `${names[index]} = ${value}`;
  }
}

export function* annotationLines(dex: Dex, at: number): Iterable<string> {
  const reader = new DexReader(dex.file, at);
  const visibility = reader.u8();
  yield `visible at ${["build", "runtime", "system"][visibility] ?? visibility}`;
  yield* encodedAnnotation(dex, reader);
}

/** Which annotations each set has; those of another's by whose they are. */
export function setLine(items: DexItems, at: number, owner: string): string {
  const named = offsets(items.dex, at).map((item) => {
    const name = items.annotations.get(item) ?? "?";
    return name.endsWith(` on ${owner}`) ? name.slice(0, -` on ${owner}`.length) : name;
  });
  return `${owner}: ${named.join(", ") || "none"}`;
}

export function setListLine(items: DexItems, at: number, owner: string): string {
  const named = offsets(items.dex, at).map((set, index) => {
    const found = items.sets.get(set);
    const own = `parameter ${index + 1} of ${owner}`;
    return set === 0 ? "none" : found === own ? "own" : `as of ${found ?? "nobody"}`;
  });
  return `${owner}: ${named.join(", ")}`;
}

export function* directoryLines(items: DexItems, at: number, name: string): Iterable<string> {
  for (const { owner, label, at: set, list } of directory(items.dex, at, name)) {
    const found = (list ? items.setLists : items.sets).get(set);
    yield found === owner ? label : `${label}, as of ${found ?? "nobody"}`;
  }
}

const LISTS = ["public", "unsupported", "blocked", "max-target-o", "max-target-p", "max-target-q", "max-target-r"];

/** Which of the platform's members applications may use (hiddenapi_class_data_item). */
export function* hiddenLines(items: DexItems, at: number): Iterable<string> {
  const { dex } = items;
  for (let index = 0; index < dex.tables.classes.count; index++) {
    const { name, dataAt } = classDef(dex, index);
    const offset = dex.file.u32(at + 4 + index * 4);
    if (offset === 0 || dataAt === 0) continue;
    const reader = new DexReader(dex.file, at + offset);
    const { statics, instances, direct, virtual } = classData(dex, dataAt);
    const line = (member: string): string => {
      const flags = reader.uleb();
      const domain = (flags & 8) === 0 ? "" : " core-platform";
      return `${name}->${member}: ${LISTS[flags & 7] ?? flags & 7}${domain}${(flags & 16) === 0 ? "" : " test"}`;
    };
    for (const { index: field } of [...statics, ...instances]) yield line(dex.fieldName(field));
    for (const { index: method } of [...direct, ...virtual]) yield line(dex.methodName(method));
  }
}
