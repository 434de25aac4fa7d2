import type { ByteSource } from "../bytesource.ts";
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { elementsPart, type Elements } from "./elements.ts";
import { quoted } from "./listing.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * ONNX models (onnx/onnx.proto, IR version 10): a ModelProto in the wire format
 * of Protocol Buffers (protobuf.dev, Encoding): fields of a tag (number and
 * kind), and a number, four or eight bytes, or a length and as many bytes.
 * Fields are named as the schema names them; messages by their `name` where
 * they have one. What the schema does not name is told by number.
 */
const MAX_DEPTH = 40;
/** Fields of one message. */
const MAX_FIELDS = 2_000_000;
const MAX_NAME = 300;

/** Of a message: its fields as "number name", with the message's name where it is one, and "*" for packed numbers. */
const SCHEMA: Readonly<Record<string, string>> = {
  Model:
    "1 ir_version,2 producer_name,3 producer_version,4 domain,5 model_version,6 doc_string,7 graph Graph,8 opset_import OperatorSet,14 metadata_props Entry,20 training_info Training,25 functions Function",
  OperatorSet: "1 domain,2 version",
  Entry: "1 key,2 value",
  Training: "1 initialization Graph,2 algorithm Graph,3 initialization_binding Entry,4 update_binding Entry",
  Function:
    "1 name,4 input,5 output,6 attribute,7 node Node,8 doc_string,9 opset_import OperatorSet,10 domain,11 attribute_proto Attribute,12 value_info Value,13 overload,14 metadata_props Entry",
  Graph:
    "1 node Node,2 name,5 initializer Tensor,10 doc_string,11 input Value,12 output Value,13 value_info Value,14 quantization_annotation Annotation,15 sparse_initializer Sparse,16 metadata_props Entry",
  Node: "1 input,2 output,3 name,4 op_type,5 attribute Attribute,6 doc_string,7 domain,8 overload,9 metadata_props Entry",
  Attribute:
    "1 name,2 f,3 i,4 s,5 t Tensor,6 g Graph,7 floats *,8 ints *,9 strings,10 tensors Tensor,11 graphs Graph,13 doc_string,14 tp Type,15 type_protos Type,20 type,21 ref_attr_name,22 sparse_tensor Sparse,23 sparse_tensors Sparse",
  Tensor:
    "1 dims *,2 data_type,3 segment Segment,4 float_data *,5 int32_data *,6 string_data,7 int64_data *,8 name,9 raw_data,10 double_data *,11 uint64_data *,12 doc_string,13 external_data Entry,14 data_location,16 metadata_props Entry",
  Segment: "1 begin,2 end",
  Sparse: "1 values Tensor,2 indices Tensor,3 dims *",
  Annotation: "1 tensor_name,2 quant_parameter_tensor_names Entry",
  Value: "1 name,2 type Type,3 doc_string,4 metadata_props Entry",
  Type: "1 tensor_type TensorType,4 sequence_type Sequence,5 map_type Map,6 denotation,8 sparse_tensor_type TensorType,9 optional_type Sequence",
  TensorType: "1 elem_type,2 shape Shape",
  Shape: "1 dim Dimension",
  Dimension: "1 dim_value,2 dim_param,3 denotation",
  Sequence: "1 elem_type Type",
  Map: "1 key_type,2 value_type Type",
};

/** Types of elements (TensorProto.DataType), those of whole bytes. */
const TYPES: Readonly<Record<number, readonly [string, number]>> = {
  1: ["float32", 4],
  2: ["uint8", 1],
  3: ["int8", 1],
  4: ["uint16", 2],
  5: ["int16", 2],
  6: ["int32", 4],
  7: ["int64", 8],
  9: ["bool", 1],
  10: ["float16", 2],
  11: ["float64", 8],
  12: ["uint32", 4],
  13: ["uint64", 8],
  16: ["bfloat16", 2],
};

interface Field {
  number: number;
  /** 0 a number, 1 eight bytes, 2 a length and bytes, 5 four bytes. */
  wire: number;
  at: number;
  valueAt: number;
  end: number;
  value: bigint;
}

interface Named {
  name: string;
  message: string | undefined;
  packed: boolean;
}

export function onnxParts(source: ByteSource, name: string): Iterable<Part> {
  const cursor = new Cursor(source, `${name}: ONNX`, 0, source.size, true);
  const fields = [...fieldsOf(cursor)];
  // Anything may be read as some message; a model has its version and a graph.
  const graph = fields.find((each) => each.number === 7);
  if (graph?.wire !== 2 || fields.every((each) => each.number !== 1 || each.wire !== 0)) {
    cursor.fail("a message without version and graph", 0);
  }
  return messageParts(cursor, "Model", 0);
}

function* fieldsOf(range: Cursor): Iterable<Field> {
  const cursor = new Cursor(range.source, range.what, range.at, range.end, true);
  for (let count = 0; cursor.left > 0; count++) {
    if (count > MAX_FIELDS)
      throw new BitforbitError("limit", `${cursor.what}: a message of more than ${MAX_FIELDS} fields`);
    const at = cursor.at;
    const tag = Number(varint(cursor) & 0xffff_ffffn);
    const [number, wire] = [tag >>> 3, tag & 7];
    if (number === 0) cursor.fail("a field of the number 0", at);
    let valueAt = cursor.at;
    let value = 0n;
    if (wire === 0) value = varint(cursor);
    else if (wire === 1) cursor.skip(8);
    else if (wire === 5) cursor.skip(4);
    else if (wire === 2) {
      const length = varint(cursor);
      valueAt = cursor.at;
      cursor.skip(length > BigInt(cursor.left) ? cursor.left + 1 : Number(length));
    } else cursor.fail(`a field of the kind ${wire}`, at);
    yield { number, wire, at, valueAt, end: cursor.at, value };
  }
}

function varint(cursor: Cursor): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = cursor.u8();
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return value;
  }
  return cursor.fail("a number of more than ten bytes");
}

function namedIn(message: string, number: number): Named {
  for (const entry of (SCHEMA[message] ?? "").split(",")) {
    const [digits, name, type] = entry.split(" ");
    if (digits !== String(number) || name === undefined) continue;
    return { name, message: type === "*" ? undefined : type, packed: type === "*" };
  }
  return { name: `field ${number}`, message: undefined, packed: false };
}

function* messageParts(range: Cursor, message: string, depth: number): Iterable<Part> {
  if (depth > MAX_DEPTH) throw new BitforbitError("limit", `${range.what}: nested more than ${MAX_DEPTH} deep`);
  const elements = message === "Tensor" ? elementsOf(range) : undefined;
  for (const each of fieldsOf(range)) {
    const named = namedIn(message, each.number);
    if (each.wire !== 2) {
      yield field(named.name, each.at, each.end - each.at, () => numberShown(range, each, named.name));
      continue;
    }
    if (named.message !== undefined) {
      yield messagePart(range, named, each, depth);
      continue;
    }
    yield derived(`${named.name} length`, each.at, each.valueAt - each.at);
    if (each.end > each.valueAt) yield valuePart(range, named, each, elements);
  }
}

function messagePart(range: Cursor, { name, message = "" }: Named, each: Field, depth: number): Part {
  const inside = new Cursor(range.source, range.what, each.valueAt, each.end, true);
  const called = nameOf(inside, message);
  return group(called === "" ? name : `${name} ${called}`, each.at, each.end - each.at, function* () {
    yield derived("length", each.at, each.valueAt - each.at);
    yield* messageParts(inside, message, depth + 1);
  });
}

/** What a message is told by: its name or key; a node without one by what it gives. */
function nameOf(inside: Cursor, message: string): string {
  const numbers = {
    Node: [3, 2],
    Graph: [2],
    Tensor: [8],
    Attribute: [1],
    Value: [1],
    Entry: [1],
    Function: [1],
    OperatorSet: [1],
  };
  const wanted: readonly number[] = Object.entries(numbers).find(([key]) => key === message)?.[1] ?? [];
  let best = "";
  for (const each of fieldsOf(inside)) {
    if (each.wire !== 2 || !wanted.includes(each.number)) continue;
    const text = stringIn(inside, each).slice(0, MAX_NAME);
    if (each.number === wanted[0] && text !== "") return text;
    if (best === "") best = text;
  }
  return best;
}

function stringIn({ source }: Cursor, { valueAt, end }: Field): string {
  const bytes = source.read(valueAt, Math.min(end - valueAt, 2000));
  return utf8Text(bytes) ?? Buffer.from(bytes).toString("latin1");
}

function numberShown({ source }: Cursor, each: Field, name: string): string {
  if (each.wire === 0) {
    const value = BigInt.asIntN(64, each.value);
    const type = name === "data_type" || name === "elem_type" ? TYPES[Number(value)]?.[0] : undefined;
    return type ?? String(value);
  }
  const bytes = Buffer.from(source.read(each.valueAt, each.end - each.valueAt));
  return each.wire === 5 ? String(Number(bytes.readFloatLE().toPrecision(8))) : String(bytes.readDoubleLE());
}

function valuePart(range: Cursor, { name, packed }: Named, each: Field, elements: Elements | undefined): Part {
  const length = each.end - each.valueAt;
  const shape = elements?.shape ?? [];
  if (name === "raw_data" && elements !== undefined) return elementsPart(name, each.valueAt, length, elements);
  if (name === "float_data" || name === "floats") {
    return elementsPart(name, each.valueAt, length, { type: "float32", size: 4, shape: sized(shape, length / 4) });
  }
  if (name === "double_data") {
    return elementsPart(name, each.valueAt, length, { type: "float64", size: 8, shape: sized(shape, length / 8) });
  }
  if (packed) return field(name, each.valueAt, length, () => packedShown(range, each));
  if (name === "raw_data") return { key: name, kind: "bytes", offset: each.valueAt, length };
  return field(name, each.valueAt, length, () => quoted(stringIn(range, each)));
}

/** The shape where it fits, otherwise one row. */
function sized(shape: readonly number[], count: number): readonly number[] {
  return shape.reduce((product, size) => product * size, 1) === count && shape.length > 0 ? shape : [Math.floor(count)];
}

const MOST_SHOWN = 64;

function packedShown(range: Cursor, each: Field): string {
  const cursor = new Cursor(range.source, range.what, each.valueAt, each.end, true);
  const values: string[] = [];
  while (cursor.left > 0 && values.length < MOST_SHOWN) values.push(String(BigInt.asIntN(64, varint(cursor))));
  return `[${values.join(", ")}${cursor.left > 0 ? ", …" : ""}]`;
}

/** A tensor's shape and type, which stand in fields of their own. */
function elementsOf(range: Cursor): Elements | undefined {
  const shape: number[] = [];
  let type: readonly [string, number] | undefined;
  for (const each of fieldsOf(range)) {
    if (each.number === 2 && each.wire === 0) type = TYPES[Number(each.value)];
    if (each.number !== 1) continue;
    if (each.wire === 0) shape.push(Number(each.value));
    else if (each.wire === 2 && each.end - each.valueAt < 1000) {
      const cursor = new Cursor(range.source, range.what, each.valueAt, each.end, true);
      while (cursor.left > 0) shape.push(Number(varint(cursor)));
    }
  }
  return type === undefined || shape.length > 100 ? undefined : { type: type[0], size: type[1], shape };
}
