/**
 * Dalvik's instructions (Android, "Dalvik bytecode" and "Dalvik executable
 * instruction formats"): name and format of each opcode. Those that only the
 * device's own optimiser writes stand where they are unused in a DEX file.
 */
export interface Opcode {
  name: string;
  /** Code units, registers, kind of operand. */
  format: string;
  /** What an index operand leads to. */
  index?: "string" | "type" | "field" | "method" | "call site" | "method handle" | "prototype";
}

const INT = ["add", "sub", "mul", "div", "rem", "and", "or", "xor", "shl", "shr", "ushr"];
const BINARY = [
  ...INT.map((name) => `${name}-int`),
  ...INT.map((name) => `${name}-long`),
  ...INT.slice(0, 5).map((name) => `${name}-float`),
  ...INT.slice(0, 5).map((name) => `${name}-double`),
];
const UNARY = `neg-int not-int neg-long not-long neg-float neg-double int-to-long int-to-float int-to-double long-to-int
long-to-float long-to-double float-to-int float-to-long float-to-double double-to-int double-to-long double-to-float
int-to-byte int-to-char int-to-short`.split(/\s+/);
const KINDS = ["", "-wide", "-object", "-boolean", "-byte", "-char", "-short"];
const TESTS = ["eq", "ne", "lt", "ge", "gt", "le"];
const CALLS = ["virtual", "super", "direct", "static", "interface"];
const LITERAL = ["add-int", "rsub-int", "mul-int", "div-int", "rem-int", "and-int", "or-int", "xor-int"];

/** Names in the order of their numbers, from 0x00 to 0x31. */
const FIRST = `nop:10x move:12x move/from16:22x move/16:32x move-wide:12x move-wide/from16:22x move-wide/16:32x
move-object:12x move-object/from16:22x move-object/16:32x move-result:11x move-result-wide:11x move-result-object:11x
move-exception:11x return-void:10x return:11x return-wide:11x return-object:11x const/4:11n const/16:21s const:31i
const/high16:21h const-wide/16:21s const-wide/32:31i const-wide:51l const-wide/high16:21h const-string:21c:string
const-string:31c:string const-class:21c:type monitor-enter:11x monitor-exit:11x check-cast:21c:type
instance-of:22c:type array-length:12x new-instance:21c:type new-array:22c:type filled-new-array:35c:type
filled-new-array/range:3rc:type fill-array-data:31t throw:11x goto:10t goto:20t goto:30t packed-switch:31t
sparse-switch:31t cmpl-float:23x cmpg-float:23x cmpl-double:23x cmpg-double:23x cmp-long:23x`.split(/\s+/);

/** 0xe3 to 0xf9: what ART's optimiser wrote up to Android 11. */
const QUICK = [
  ...["", "-wide", "-object"].map((kind) => `iget${kind}-quick:22q`),
  ...["", "-wide", "-object"].map((kind) => `iput${kind}-quick:22q`),
  "invoke-virtual-quick:35q",
  "invoke-virtual-quick/range:3rq",
  ...KINDS.slice(3).map((kind) => `iput${kind}-quick:22q`),
  ...KINDS.slice(3).map((kind) => `iget${kind}-quick:22q`),
];

const unused = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `unused-${(from + index).toString(16)}:10x`);

const SPELLED: readonly string[] = [
  ...FIRST,
  ...TESTS.map((test) => `if-${test}:22t`),
  ...TESTS.map((test) => `if-${test}z:21t`),
  ...unused(0x3e, 0x43),
  ...KINDS.map((kind) => `aget${kind}:23x`),
  ...KINDS.map((kind) => `aput${kind}:23x`),
  ...KINDS.map((kind) => `iget${kind}:22c:field`),
  ...KINDS.map((kind) => `iput${kind}:22c:field`),
  ...KINDS.map((kind) => `sget${kind}:21c:field`),
  ...KINDS.map((kind) => `sput${kind}:21c:field`),
  ...CALLS.map((call) => `invoke-${call}:35c:method`),
  "return-void-no-barrier:10x",
  ...CALLS.map((call) => `invoke-${call}/range:3rc:method`),
  ...unused(0x79, 0x7a),
  ...UNARY.map((name) => `${name}:12x`),
  ...BINARY.map((name) => `${name}:23x`),
  ...BINARY.map((name) => `${name}/2addr:12x`),
  ...LITERAL.map((name) => `${name === "rsub-int" ? name : `${name}/lit16`}:22s`),
  ...[...LITERAL, "shl-int", "shr-int", "ushr-int"].map((name) => `${name}/lit8:22b`),
  ...QUICK,
  ...unused(0xf3, 0xf9),
  "invoke-polymorphic:45cc:method",
  "invoke-polymorphic/range:4rcc:method",
  "invoke-custom:35c:call-site",
  "invoke-custom/range:3rc:call-site",
  "const-method-handle:21c:method-handle",
  "const-method-type:21c:prototype",
];

export const OPCODES: readonly Opcode[] = SPELLED.map((spelled) => {
  const [name = "", format = "", index] = spelled.split(":");
  return index === undefined
    ? { name, format }
    : { name, format, index: index.replace("-", " ") as Opcode["index"] & string };
});
