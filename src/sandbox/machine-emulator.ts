/** QEMU, with all that it loads, in one folder: so it can be shown to a sandbox whatever root that has. */
import { existsSync, globSync, statSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../child.ts";
import { sha256Hex } from "../digest.ts";
import { byteOrder } from "../order.ts";

export interface Emulator {
  folder: string;
}

const PROGRAM = "qemu-system-x86_64";
/** What the firmware and the start of a kernel take from QEMU's data; missing ones are not needed by that version. */
const DATA = ["bios-256k.bin", "bios.bin", "kvmvapic.bin", "linuxboot.bin", "linuxboot_dma.bin", "pvh.bin"];
/** The dynamic linker's name in the folder, which is what is started. */
export const LINKER = "linker";

/** QEMU below `cache`, copied there once for each installed version; undefined where it is not installed. */
export async function emulator(cache: string): Promise<Emulator | undefined> {
  const program = ["/usr/local/bin", "/usr/bin"]
    .map((folder) => join(folder, PROGRAM))
    .find((path) => existsSync(path));
  if (program === undefined) return undefined;
  try {
    // Where QEMU is built in modules, its interpreter of foreign processors is one.
    const modules = globSync("/usr/{lib,lib64,lib/*}/qemu/accel-tcg-x86_64.so").sort().slice(0, 1);
    const { linker, libraries } = await loadedBy([program, ...modules]);
    if (linker === undefined) return undefined;
    const told = await run(program, ["-L", "help"], { timeoutMilliseconds: 10_000 });
    const places = Buffer.from(told.stdout)
      .toString()
      .split("\n")
      .filter((line) => line.startsWith("/"));
    const data = DATA.flatMap((name) =>
      places
        .map((place) => join(place, name))
        .filter((path) => existsSync(path))
        .slice(0, 1),
    );
    const into = [
      { from: program, to: "qemu" },
      { from: linker, to: LINKER },
      ...libraries.map((path) => ({ from: path, to: `lib/${basename(path)}` })),
      ...modules.map((path) => ({ from: path, to: `modules/${basename(path)}` })),
      ...data.map((path) => ({ from: path, to: `data/${basename(path)}` })),
    ];
    return { folder: await together(into, join(cache, "machine-emulators")) };
  } catch {
    return undefined;
  }
}

async function loadedBy(programs: readonly string[]): Promise<{ linker: string | undefined; libraries: string[] }> {
  const listed = await run("ldd", programs, { timeoutMilliseconds: 10_000 });
  const text = Buffer.from(listed.stdout).toString();
  const libraries = [...text.matchAll(/=> (\/\S+) \(0x/g)].map((match) => match[1] ?? "");
  const linker = /^\s+(\/\S*ld-linux\S*) \(0x/m.exec(text)?.[1];
  return { linker, libraries: [...new Set(libraries)].sort(byteOrder) };
}

/** A folder with these files, named for what they are. */
async function together(files: readonly { from: string; to: string }[], shelf: string): Promise<string> {
  const marks = files.map(({ from, to }) => {
    const { size, mtimeMs } = statSync(from);
    return `${to} ${from} ${size} ${mtimeMs}`;
  });
  const folder = join(shelf, sha256Hex(marks.join("\n")).slice(0, 16));
  if (existsSync(folder)) return folder;
  await mkdir(shelf, { recursive: true, mode: 0o755 });
  const made = await mkdtemp(join(shelf, ".tmp-"));
  try {
    for (const inner of ["lib", "modules", "data"]) await mkdir(join(made, inner));
    for (const { from, to } of files) await copyFile(from, join(made, to));
    await run("chmod", ["-R", "a+rX,u+w", made]);
    await rename(made, folder).catch((error: unknown) => {
      // Another process made the same just now.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return folder;
}
