/** The toolchain in use: compiler, linker, interpreter, build tool, among the programs that a build executed. */
import { byteOrder } from "../order.ts";

export type ToolRole = "compiler" | "assembler" | "linker" | "archiver" | "interpreter" | "build tool";

export interface ToolInUse {
  /** As it is called, without target and version: "gcc", "python3". */
  name: string;
  role: ToolRole;
  /** Where it is when all links are followed, absolute inside. */
  path: string;
  version: string;
  /** Of the file: 64 hexadecimal digits. */
  sha256: string;
}

/** What is to be asked outside this file. */
export interface ToolFacts {
  sha256: (path: string) => Promise<string>;
  /** Version of the package that the file is of. */
  packageVersion: (path: string) => string | undefined;
  /** First line of what the program says of itself, asked inside the sandbox; undefined when it says nothing. */
  askVersion: (path: string) => Promise<string | undefined>;
}

const ROLES: readonly { role: ToolRole; names: RegExp }[] = [
  {
    role: "compiler",
    names:
      /^(?:gcc|g\+\+|gfortran|cc1|cc1plus|cc1obj|f951|gnat1|lto1|cpp|clang|clang\+\+|rustc|compile|javac|kotlinc|scalac|ghc|ocamlopt(?:\.opt)?|tsc|esbuild|swiftc|zig|tcc|valac|vala|protoc)$/,
  },
  { role: "assembler", names: /^(?:as|asm|nasm|yasm)$/ },
  { role: "linker", names: /^(?:ld|ld\.bfd|ld\.gold|ld\.lld|lld|ld\.mold|mold|collect2|link)$/ },
  { role: "archiver", names: /^(?:ar|ranlib|gcc-ar|gcc-ranlib|strip|objcopy|llvm-ar|llvm-strip|jar)$/ },
  {
    role: "interpreter",
    names: /^(?:python\d?|perl|node|nodejs|ruby|java|bash|dash|busybox|php|lua|luajit|tclsh|guile|mawk|gawk)$/,
  },
  {
    role: "build tool",
    names:
      /^(?:make|cmake|ninja|samu|meson|go|cargo|npm|npm-cli\.js|npx-cli\.js|yarn|pnpm|pip\d?|uv|mvn|gradle|ant|autoconf|automake|m4|libtool|pkg-config|pkgconf|rake|bazel|scons|dpkg-buildpackage|dh)$/,
  },
];

/** A program's own name: "x86_64-linux-gnu-g++-12" is "g++", "python3.11" is "python3". */
export function toolName(path: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const bare = file
    .replace(/^(?:[a-z0-9_]+-(?:[a-z0-9_]+-)*(?:gnu|musl|gnueabi|gnueabihf|eabi|elf|mingw32|darwin\w*)-)/, "")
    .replace(/(?<=[a-z+])-\d+(?:\.\d+)*$/, "");
  return bare.replace(/^(python\d|perl|ruby|lua|php|guile|tclsh|pip\d|automake|autoconf)(?:[-.]?\d+(?:\.\d+)*)$/, "$1");
}

/**
 * The tools among `programs` (paths inside: `reads.executed`, what was opened
 * where programs are not told apart, or what a PATH finds), in byte order of
 * name, then path. Go's own compiler, assembler and linker count only in its
 * folder of tools: their names are common words. A version that nobody knows is
 * "unknown".
 */
export async function toolchain(programs: Iterable<string>, facts: ToolFacts): Promise<ToolInUse[]> {
  const tools: ToolInUse[] = [];
  for (const path of new Set(programs)) {
    const name = toolName(path);
    const role = ROLES.find(({ names }) => names.test(name))?.role;
    if (role === undefined || !isProgramPlace(path, name)) continue;
    const version = facts.packageVersion(path) ?? (await facts.askVersion(path)) ?? "unknown";
    tools.push({ name, role, path, version, sha256: await facts.sha256(path) });
  }
  return tools.sort((a, b) => byteOrder(a.name, b.name) || byteOrder(a.path, b.path));
}

const GO_TOOLS = /^(?:compile|asm|link)$/;

/** A header may be called `link`, too: programs lie in folders for programs. */
function isProgramPlace(path: string, name: string): boolean {
  if (GO_TOOLS.test(name) && !name.includes(".")) return /\/pkg\/tool\/[a-z0-9]+_[a-z0-9]+\/[a-z]+$/.test(path);
  return /\/(?:s?bin|libexec|lib\/gcc(?:-cross)?\/[^/]+\/[^/]+|libexec\/gcc\/[^/]+\/[^/]+)\/[^/]+$/.test(path);
}
