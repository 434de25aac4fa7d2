/**
 * A seccomp filter (seccomp(2), classic BPF) under which changing owners and
 * identity, making devices and waiting for the disk succeed without doing
 * anything. A user namespace with one user in it cannot give a file to another,
 * and packages' scripts want to; the owners are ours in the end anyway. Unlike
 * a preloaded library (fakeroot), it needs no compiler and no package, and
 * holds for static programs, too.
 */

/** AUDIT_ARCH_* of linux/audit.h, and the numbers of the calls: asm/unistd.h. */
interface Calls {
  audit: number;
  /** chown and its kin, setuid and its kin, fsync and its kin. */
  skipped: readonly number[];
  mknod: number | undefined;
  mknodat: number;
}

const GENERIC: Omit<Calls, "audit"> = {
  skipped: [54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159, 81, 82, 83, 84, 267],
  mknod: undefined,
  mknodat: 33,
};

const CALLS: readonly Calls[] = [
  {
    // x86-64
    audit: 0xc000003e,
    skipped: [92, 93, 94, 260, 105, 106, 113, 114, 116, 117, 119, 122, 123, 74, 75, 162, 277, 306],
    mknod: 133,
    mknodat: 259,
  },
  {
    // i386
    audit: 0x40000003,
    skipped: [
      16, 95, 182, 198, 207, 212, 298, 23, 46, 70, 71, 81, 138, 139, 164, 170, 203, 204, 206, 208, 210, 213, 214, 215,
      216, 36, 118, 148, 314, 344,
    ],
    mknod: 14,
    mknodat: 297,
  },
  { audit: 0xc00000b7, ...GENERIC }, // aarch64
  { audit: 0xc00000f3, ...GENERIC }, // riscv64
  {
    // s390x
    audit: 0x80000016,
    skipped: [198, 207, 212, 291, 203, 204, 206, 208, 210, 213, 214, 215, 216, 36, 118, 148, 307, 338],
    mknod: 14,
    mknodat: 290,
  },
  {
    // ppc64le
    audit: 0xc0000015,
    skipped: [16, 95, 181, 289, 23, 46, 70, 71, 81, 138, 139, 164, 169, 36, 118, 148, 308, 348],
    mknod: 14,
    mknodat: 288,
  },
];

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K
const ALLOW = 0x7fff0000;
/** SECCOMP_RET_ERRNO with errno 0: the call is left out and gives 0. */
const SKIP = 0x00050000;

/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number): number => 16 + 8 * index + LOW;
/** On big-endian machines the low half of a 64-bit argument comes second. */
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 4;

const FILE_TYPE = 0o170000;
const CHARACTER_DEVICE = 0o020000;
const BLOCK_DEVICE = 0o060000;

type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, value: number];

/** The program in the form that bubblewrap's --seccomp reads: an array of struct sock_filter in this machine's byte order. */
export function makeBelieveFilter(): Uint8Array {
  const program: Instruction[] = [[LOAD, 0, 0, ARCHITECTURE]];
  for (const calls of CALLS) {
    const body = forOneMachine(calls);
    program.push([EQUAL, 0, body.length, calls.audit], ...body);
  }
  program.push([RETURN, 0, 0, ALLOW]);
  const little = LOW === 0;
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  for (const [index, [code, whenTrue, whenFalse, value]] of program.entries()) {
    bytes.setUint16(index * 8, code, little);
    bytes.setUint8(index * 8 + 2, whenTrue);
    bytes.setUint8(index * 8 + 3, whenFalse);
    bytes.setUint32(index * 8 + 4, value, little);
  }
  return new Uint8Array(bytes.buffer);
}

function forOneMachine({ skipped, mknod, mknodat }: Calls): Instruction[] {
  const device = (index: number): Instruction[] => [
    [LOAD, 0, 0, argument(index)],
    [AND, 0, 0, FILE_TYPE],
    [EQUAL, 1, 0, CHARACTER_DEVICE],
    [EQUAL, 0, 1, BLOCK_DEVICE],
    [RETURN, 0, 0, SKIP],
    [RETURN, 0, 0, ALLOW],
  ];
  const forMknod = mknod === undefined ? [] : device(1);
  const forMknodat = device(2);
  const out: Instruction[] = [[LOAD, 0, 0, NUMBER]];
  for (const number of skipped) out.push([EQUAL, 0, 1, number], [RETURN, 0, 0, SKIP]);
  if (mknod !== undefined) out.push([EQUAL, 0, forMknod.length, mknod], ...forMknod);
  out.push([EQUAL, 0, forMknodat.length, mknodat], ...forMknodat, [RETURN, 0, 0, ALLOW]);
  return out;
}
