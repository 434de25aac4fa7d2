/** The kernel of a virtual machine: found installed or fetched by apt, its image unpacked, and the modules that it needs. */
import { existsSync, globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { run } from "../child.ts";
import { memorySource, type ByteSource, openSource } from "../bytesource.ts";
import { sha256Hex } from "../digest.ts";
import { unxz } from "../format/xz.ts";
import { byteOrder } from "../order.ts";
import { namesIn } from "../tree.ts";

export interface MachineKernel {
  release: string;
  /** Folder with `vmlinux` (or `vmlinuz`) and the modules, in the order in which they are loaded by name. */
  folder: string;
  image: string;
  modules: readonly string[];
}

/** What a machine's root needs: its bus, and the file system of the host's folders. */
const MODULES = ["virtio_pci", "9p", "9pnet_virtio"];
const MAX_IMAGE = 512 << 20;
/** Debian's kernel with all its modules; the one for clouds lacks 9p. */
const PACKAGE = "linux-image-amd64";

/** A kernel below `cache`, made ready there once; undefined where none is installed and apt has none. */
export async function machineKernel(cache: string): Promise<MachineKernel | undefined> {
  const shelf = join(cache, "machine-kernels");
  await mkdir(shelf, { recursive: true, mode: 0o755 });
  return (await installed(shelf)) ?? (await kept(shelf)) ?? (await fetched(shelf));
}

async function installed(shelf: string): Promise<MachineKernel | undefined> {
  for (const release of (await namesOf("/lib/modules")).toReversed()) {
    const found = await madeReady("/", release, shelf);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function kept(shelf: string): Promise<MachineKernel | undefined> {
  const names = (await namesOf(shelf)).filter((name) => !name.startsWith("."));
  const last = names.at(-1);
  return last === undefined ? undefined : await describe(join(shelf, last));
}

async function namesOf(folder: string): Promise<string[]> {
  return existsSync(folder) ? (await namesIn(folder)).toSorted(byteOrder) : [];
}

/** apt checks what it fetches against the archive's signed lists. */
async function fetched(shelf: string): Promise<MachineKernel | undefined> {
  const folder = await mkdtemp(join(shelf, ".tmp-"));
  try {
    const known = await run("apt-cache", ["depends", PACKAGE], { timeoutMilliseconds: 60_000 });
    const name = /Depends: (linux-image-[\w.+-]+)/.exec(Buffer.from(known.stdout).toString())?.[1];
    if (name === undefined) return undefined;
    const options = { cwd: folder, timeoutMilliseconds: 900_000 };
    if ((await run("apt-get", ["download", "-q", name], options)).exitCode !== 0) return undefined;
    const deb = (await namesIn(folder)).find((one) => one.endsWith(".deb"));
    if (deb === undefined || (await run("dpkg-deb", ["-x", deb, "root"], options)).exitCode !== 0) return undefined;
    const root = join(folder, "root");
    const modules = globSync(join(root, "{usr/,}lib/modules")).sort()[0] ?? "";
    const release = (await namesOf(modules)).at(-1);
    return release === undefined ? undefined : await madeReady(root, release, shelf);
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Unpacks the kernel `release` of `root` below `shelf`; undefined where it cannot be read, or lacks a module. */
async function madeReady(root: string, release: string, shelf: string): Promise<MachineKernel | undefined> {
  try {
    const packed = await readFile(join(root, "boot", `vmlinuz-${release}`));
    const folder = join(shelf, `${release}-${sha256Hex(packed).slice(0, 16)}`);
    if (existsSync(folder)) return await describe(folder);
    const modules = await modulesOf(globSync(join(root, "{usr/,}lib/modules", release)).sort()[0] ?? "");
    if (modules === undefined) return undefined;
    const made = await mkdtemp(join(shelf, ".tmp-"));
    try {
      const image = await unpackedImage(packed);
      await writeFile(join(made, image === undefined ? "vmlinuz" : "vmlinux"), image ?? packed);
      await writeFile(join(made, "release"), release);
      for (const [index, content] of modules.entries()) {
        await writeFile(join(made, `${String(index).padStart(2, "0")}.ko`), content);
      }
      await run("chmod", ["-R", "a+rX,u+w", made]);
      await rename(made, folder).catch((error: unknown) => {
        // Another process made the same just now.
        if (!existsSync(folder)) throw error;
      });
    } finally {
      await rm(made, { recursive: true, force: true });
    }
    return await describe(folder);
  } catch {
    return undefined;
  }
}

async function describe(folder: string): Promise<MachineKernel> {
  const names = await namesOf(folder);
  return {
    release: await readFile(join(folder, "release"), "utf8"),
    folder,
    image: names.includes("vmlinux") ? "vmlinux" : "vmlinuz",
    modules: names.filter((name) => name.endsWith(".ko")),
  };
}

/** The modules in the order in which they must be loaded; what the kernel has built in is left out. */
async function modulesOf(folder: string): Promise<Uint8Array[] | undefined> {
  const builtIn = await readFile(join(folder, "modules.builtin"), "utf8");
  const all = globSync(join(folder, "kernel/**/*.ko{,.xz,.zst,.gz}")).sort();
  const paths = new Map(all.map((path) => [nameOf(path), path]));
  const within = new Set(builtIn.split("\n").map(nameOf));
  const ordered = new Map<string, Uint8Array>();
  const add = async (name: string): Promise<boolean> => {
    if (within.has(name) || ordered.has(name)) return true;
    const path = paths.get(name);
    if (path === undefined) return false;
    const content = await moduleAt(path);
    for (const one of dependsOf(content)) if (!(await add(one))) return false;
    ordered.set(name, content);
    return true;
  };
  for (const name of MODULES) if (!(await add(name))) return undefined;
  return [...ordered.values()];
}

/** In file names a dash may stand for what the kernel writes as an underscore. */
function nameOf(path: string): string {
  return (path.split("/").at(-1) ?? "").replace(/\.ko.*$/, "").replaceAll("-", "_");
}

/** `depends=` in the section .modinfo. */
function dependsOf(content: Uint8Array): string[] {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const at = bytes.indexOf("\0depends=");
  if (at < 0) return [];
  const text = bytes.subarray(at + 9, bytes.indexOf(0, at + 9)).toString("latin1");
  return text === "" ? [] : text.split(",").map((name) => name.replaceAll("-", "_"));
}

async function moduleAt(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path);
  if (path.endsWith(".zst")) return new Uint8Array(zstdDecompressSync(bytes, { maxOutputLength: MAX_IMAGE }));
  if (path.endsWith(".gz")) return new Uint8Array(gunzipSync(bytes, { maxOutputLength: MAX_IMAGE }));
  if (!path.endsWith(".xz")) return new Uint8Array(bytes);
  const source = openSource(path, path);
  try {
    return await decompressedXz(source);
  } finally {
    source.close();
  }
}

async function decompressedXz(source: ByteSource): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  await unxz(source, (chunk) => void chunks.push(Buffer.from(chunk)));
  return new Uint8Array(Buffer.concat(chunks));
}

/**
 * The ELF image inside a bzImage (Documentation/arch/x86/boot.rst, payload_offset): an emulated processor takes seconds
 * to unpack it. undefined for a compression that we do not read: the machine then unpacks it by itself.
 */
async function unpackedImage(packed: Uint8Array): Promise<Uint8Array | undefined> {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  if (bytes.length < 0x250 || bytes.toString("latin1", 0x202, 0x206) !== "HdrS") return undefined;
  const start = ((bytes[0x1f1] ?? 0) + 1) * 512 + bytes.readUInt32LE(0x248);
  // Its last four bytes say how large it is when unpacked.
  const payload = bytes.subarray(start, start + bytes.readUInt32LE(0x24c) - 4);
  const magic = payload.toString("hex", 0, 4);
  try {
    const image =
      magic === "fd377a58"
        ? await decompressedXz(memorySource(new Uint8Array(payload), "vmlinuz"))
        : magic === "28b52ffd"
          ? zstdDecompressSync(payload, { maxOutputLength: MAX_IMAGE })
          : magic.startsWith("1f8b")
            ? gunzipSync(payload, { maxOutputLength: MAX_IMAGE })
            : undefined;
    return image?.[0] === 0x7f ? new Uint8Array(image) : undefined;
  } catch {
    return undefined;
  }
}
