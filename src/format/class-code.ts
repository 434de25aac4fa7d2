import type { ConstantPool } from "./class-pool.ts";
import type { Cursor } from "./cursor.ts";

/**
 * The instructions of a Java method (JVMS 25, chapter 6) as lines: operands by
 * what they lead to, jumps by labels in the order of the code, so that an
 * inserted instruction changes its own line and no other.
 */
const NAMES = `nop aconst_null iconst_m1 iconst_0 iconst_1 iconst_2 iconst_3 iconst_4 iconst_5 lconst_0 lconst_1
fconst_0 fconst_1 fconst_2 dconst_0 dconst_1 bipush sipush ldc ldc_w ldc2_w iload lload fload dload aload
iload_0 iload_1 iload_2 iload_3 lload_0 lload_1 lload_2 lload_3 fload_0 fload_1 fload_2 fload_3
dload_0 dload_1 dload_2 dload_3 aload_0 aload_1 aload_2 aload_3 iaload laload faload daload aaload baload caload saload
istore lstore fstore dstore astore istore_0 istore_1 istore_2 istore_3 lstore_0 lstore_1 lstore_2 lstore_3
fstore_0 fstore_1 fstore_2 fstore_3 dstore_0 dstore_1 dstore_2 dstore_3 astore_0 astore_1 astore_2 astore_3
iastore lastore fastore dastore aastore bastore castore sastore pop pop2 dup dup_x1 dup_x2 dup2 dup2_x1 dup2_x2 swap
iadd ladd fadd dadd isub lsub fsub dsub imul lmul fmul dmul idiv ldiv fdiv ddiv irem lrem frem drem ineg lneg fneg dneg
ishl lshl ishr lshr iushr lushr iand land ior lor ixor lxor iinc i2l i2f i2d l2i l2f l2d f2i f2l f2d d2i d2l d2f
i2b i2c i2s lcmp fcmpl fcmpg dcmpl dcmpg ifeq ifne iflt ifge ifgt ifle if_icmpeq if_icmpne if_icmplt if_icmpge
if_icmpgt if_icmple if_acmpeq if_acmpne goto jsr ret tableswitch lookupswitch ireturn lreturn freturn dreturn areturn
return getstatic putstatic getfield putfield invokevirtual invokespecial invokestatic invokeinterface invokedynamic
new newarray anewarray arraylength athrow checkcast instanceof monitorenter monitorexit wide multianewarray
ifnull ifnonnull goto_w jsr_w breakpoint`.split(/\s+/);

const ARRAY_TYPES: Readonly<Record<number, string>> = {
  4: "boolean",
  5: "char",
  6: "float",
  7: "double",
  8: "byte",
  9: "short",
  10: "int",
  11: "long",
};

interface Instruction {
  pc: number;
  text: string;
  targets: { prefix: string; pc: number }[];
}

/** The listing; `range` of the cursor is the code array. Throws `input` for code that is cut off. */
export function codeLines(cursor: Cursor, pool: ConstantPool): string[] {
  const base = cursor.at;
  const instructions: Instruction[] = [];
  while (cursor.left > 0) instructions.push(instruction(cursor, base, pool));
  const labels = new Map<number, string>();
  const targeted = instructions.flatMap((each) => each.targets.map((target) => target.pc));
  for (const pc of [...new Set(targeted)].sort((a, b) => a - b)) labels.set(pc, `L${labels.size + 1}`);
  const lines: string[] = [];
  for (const { pc, text, targets } of instructions) {
    const label = labels.get(pc);
    if (label !== undefined) lines.push(`${label}:`);
    const to = targets.map((target) => `${target.prefix}${labels.get(target.pc) ?? "?"}`);
    lines.push(`  ${[text, ...to].join(" ")}`);
  }
  return lines;
}

function instruction(cursor: Cursor, base: number, pool: ConstantPool): Instruction {
  const at = cursor.at;
  const pc = at - base;
  const opcode = cursor.u8();
  const name = NAMES[opcode] ?? `opcode ${opcode}`;
  const plain = (operand?: string): Instruction => ({
    pc,
    text: operand === undefined ? name : `${name} ${operand}`,
    targets: [],
  });
  const jump = (distance: number): Instruction => ({ pc, text: name, targets: [{ prefix: "", pc: pc + distance }] });
  if (opcode === 16) return plain(String(cursor.i8()));
  if (opcode === 17) return plain(String(cursor.i16()));
  // Whether the pool's number needs one byte or two is the pool's order again.
  if (opcode === 18) return { ...plain(), text: `ldc ${constant(pool, cursor.u8())}` };
  if (opcode === 19) return { ...plain(), text: `ldc ${constant(pool, cursor.u16())}` };
  if (opcode === 20) return plain(constant(pool, cursor.u16()));
  if ((opcode >= 21 && opcode <= 25) || (opcode >= 54 && opcode <= 58) || opcode === 169) {
    return plain(String(cursor.u8()));
  }
  if (opcode === 132) return plain(`${cursor.u8()} by ${cursor.i8()}`);
  if ((opcode >= 153 && opcode <= 168) || opcode === 198 || opcode === 199) return jump(cursor.i16());
  if (opcode === 200 || opcode === 201) return jump(cursor.i32());
  if (opcode === 170 || opcode === 171) return switchOf(cursor, base, pc, opcode === 170, name);
  if (opcode >= 178 && opcode <= 184) return plain(pool.value(cursor.u16()));
  if (opcode === 185) return plain(`${pool.value(cursor.u16())} count ${cursor.u16() >> 8}`);
  if (opcode === 186) {
    const operand = pool.value(cursor.u16());
    cursor.skip(2);
    return plain(operand);
  }
  if (opcode === 187 || opcode === 189 || opcode === 192 || opcode === 193) return plain(pool.value(cursor.u16()));
  if (opcode === 188) {
    const type = cursor.u8();
    return plain(ARRAY_TYPES[type] ?? String(type));
  }
  if (opcode === 196) return wide(cursor, pc);
  if (opcode === 197) return plain(`${pool.value(cursor.u16())} dimensions ${cursor.u8()}`);
  return plain();
}

function constant(pool: ConstantPool, index: number): string {
  const tag = pool.tagOf(index);
  const value = pool.value(index);
  return tag === "Class" || tag === "MethodType" || tag === "MethodHandle" ? `${tag} ${value}` : value;
}

function wide(cursor: Cursor, pc: number): Instruction {
  const opcode = cursor.u8();
  const local = cursor.u16();
  const by = opcode === 132 ? ` by ${cursor.i16()}` : "";
  return { pc, text: `wide ${NAMES[opcode] ?? opcode} ${local}${by}`, targets: [] };
}

function switchOf(cursor: Cursor, base: number, pc: number, table: boolean, name: string): Instruction {
  cursor.skip((4 - ((cursor.at - base) % 4)) % 4);
  const otherwise = { prefix: "default:", pc: pc + cursor.i32() };
  const targets: Instruction["targets"] = [];
  const first = cursor.i32();
  const count = table ? cursor.i32() - first + 1 : first;
  if (count < 0 || count * (table ? 4 : 8) > cursor.left) cursor.fail(`a ${name} of ${count} cases`);
  for (let index = 0; index < count; index++) {
    const match = table ? first + index : cursor.i32();
    targets.push({ prefix: `${match}:`, pc: pc + cursor.i32() });
  }
  return { pc, text: name, targets: [...targets, otherwise] };
}
