/**
 * Binary packages of Debian, as its archive has them, each unpacked and packed
 * again twice with the same `dpkg-deb`, the second time with something planted
 * such as two builds differ in. The lists of checksums inside follow.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  below,
  copyTree,
  edit,
  editText,
  filesBelow,
  flip,
  found,
  inScratch,
  type Pair,
  replaceSame,
  run,
  THEN,
  write,
} from "./workshop.ts";

interface Plant {
  package: string;
  what: string;
  /** To the unpacked second package. */
  change(root: string): void;
  /** Instead of `dpkg-deb --build` for the second. */
  pack?(root: string, into: string): void;
}

const BUILD = ["--root-owner-group", "-Zxz", "--build"];

/** What lies in a section of an ELF file: `readelf`'s offset and size. */
function sectionOf(path: string, section: string): { offset: number; size: number } {
  for (const line of run("readelf", ["-SW", path]).toString().split("\n")) {
    const words = line
      .replace(/^\s*\[\s*\d+\]/, "")
      .trim()
      .split(/\s+/);
    if (words[0] === section) return { offset: parseInt(words[3] ?? "", 16), size: parseInt(words[4] ?? "", 16) };
  }
  throw new Error(`${path}: no section ${section}`);
}

/** A section with other contents of another length: everything behind it moves. */
function updateSection(path: string, section: string, content: string, how = "--update-section"): void {
  inScratch((folder) => {
    write(join(folder, "content"), content);
    edit(path, () => {
      run("objcopy", [how, `${section}=${join(folder, "content")}`, path, join(folder, "out")]);
      return readFileSync(join(folder, "out"));
    });
  });
}

function gzipAgain(path: string, options: readonly string[], name?: string): void {
  edit(path, (bytes) =>
    inScratch((folder) => {
      const file = join(folder, name ?? "text");
      write(file, gunzipSync(bytes));
      utimesSync(file, 1_234_567_890, 1_234_567_890);
      return run("gzip", [...options, "-c", file]);
    }),
  );
}

function editGzip(path: string, change: (text: string) => string): void {
  edit(path, (bytes) => {
    const before = gunzipSync(bytes).toString("latin1");
    const after = change(before);
    if (after === before) throw new Error(`${path}: nothing was changed`);
    return run("gzip", ["-9n"], { input: Buffer.from(after, "latin1") });
  });
}

/** `rows` lines from `at` on, in reverse. */
function reversed(text: string, at: number, rows: number): string {
  const lines = text.split("\n");
  return [...lines.slice(0, at), ...lines.slice(at, at + rows).toReversed(), ...lines.slice(at + rows)].join("\n");
}

const PLANTS: readonly Plant[] = [
  {
    package: "hello",
    what: "every file of another mtime; a catalogue of messages of another date",
    change: (root) => {
      const catalogue = join(root, "usr/share/locale/de/LC_MESSAGES/hello.mo");
      edit(catalogue, (bytes) => {
        const text = run("msgunfmt", ["-"], { input: bytes }).toString();
        const after = text.replace(/PO-Revision-Date: [^\\]*/, "PO-Revision-Date: 2024-02-29 12:34+0100");
        return run("msgfmt", ["-o", "-", "-"], { input: after });
      });
      for (const path of filesBelow(join(root, "usr/share/doc"))) lutimesSync(path, 1_234_567_890, 1_234_567_890);
    },
  },
  {
    package: "dash",
    what: "one byte in .text of the program",
    change: (root) => {
      const program = join(root, "bin/dash");
      flip(program, sectionOf(program, ".text").offset + 20_000);
    },
  },
  {
    package: "grep",
    what: "another string of the same length in .rodata: a build path",
    change: (root) => replaceSame(join(root, "bin/grep"), "/usr/share/locale", "/tmp/build/locale"),
  },
  {
    package: "gzip",
    what: "a longer name of the debug file: sections behind it move",
    change: (root) =>
      updateSection(join(root, "bin/gzip"), ".gnu_debuglink", `${"a".repeat(200)}.debug\0\0\x01\x02\x03\x04`),
  },
  {
    package: "sensible-utils",
    what: "reordered lines of a script",
    change: (root) => editText(join(root, "usr/bin/select-editor"), (text) => reversed(text, 20, 12)),
  },
  {
    package: "debianutils",
    what: "the changelog compressed at another level",
    change: (root) => gzipAgain(join(root, "usr/share/doc/debianutils/changelog.Debian.gz"), ["-n", "-1"]),
  },
  {
    package: "tree",
    what: "gzip members with name and mtime",
    change: (root) => gzipAgain(found(root, /tree\.1\.gz$/), ["-9", "-N"], "tree.1"),
  },
  {
    package: "python3-six",
    what: "a .pyc of a source of another mtime",
    change: () => undefined,
    pack: (root, into) => packWithPyc(root, into, 1_234_567_890),
  },
  {
    package: "netbase",
    what: "control fields: version, dependencies",
    change: (root) =>
      editText(join(root, "DEBIAN/control"), (text) =>
        text
          .replace(/^Version: .*$/m, "Version: 6.4+b1")
          .replace(/^Architecture: .*$/m, "$&\nDepends: base-files (>= 12)"),
      ),
  },
  {
    package: "adduser",
    what: "built under umask 002",
    change: (root) => {
      for (const path of below(join(root, "usr"))) {
        const stats = lstatSync(path);
        if (!stats.isSymbolicLink()) chmodSync(path, (stats.mode & 0o7777) | 0o020);
      }
    },
  },
  {
    package: "base-passwd",
    what: "a line of postinst, and of postinst only",
    change: (root) => editText(join(root, "DEBIAN/postinst"), (text) => text.replace("set -e", "set -eu")),
  },
  {
    package: "libjs-jquery",
    what: "a minified script with another name of a variable",
    change: (root) => editText(found(root, /jquery\.min\.js$/), (text) => text.replace("function", "function zz")),
  },
  {
    package: "fonts-dejavu-core",
    what: "a font with another time of modification, its checksums following",
    change: (root) => {
      const font = found(root, /DejaVuSansMono\.ttf$/);
      edit(font, (bytes) =>
        inScratch((folder) => {
          write(join(folder, "in.ttf"), bytes);
          const script =
            "import sys\nfrom fontTools.ttLib import TTFont\nf=TTFont(sys.argv[1],recalcTimestamp=False)\n" +
            "f['head'].modified=3700000000\nf.save(sys.argv[2],reorderTables=None)\n";
          run("/usr/bin/python3", ["-c", script, join(folder, "in.ttf"), join(folder, "out.ttf")]);
          return readFileSync(join(folder, "out.ttf"));
        }),
      );
    },
  },
  {
    package: "zlib1g-dev",
    what: "a static library whose members have times and owners; one object with another build path",
    change: (root) => {
      const library = found(root, /libz\.a$/);
      edit(library, (bytes) =>
        inScratch((folder) => {
          write(join(folder, "libz.a"), bytes);
          run("ar", ["x", "libz.a"], { cwd: folder });
          const names = run("ar", ["t", "libz.a"], { cwd: folder }).toString().trim().split("\n");
          updateSection(
            join(folder, "adler32.o"),
            ".comment",
            "GCC: (Debian 12.2.0) /build/zlib-elsewhere\0",
            "--add-section",
          );
          for (const name of names) utimesSync(join(folder, name), 1_234_567_890, 1_234_567_890);
          rmSync(join(folder, "libz.a"));
          run("ar", ["rcsU", "libz.a", ...names], { cwd: folder });
          return readFileSync(join(folder, "libz.a"));
        }),
      );
    },
  },
  {
    package: "ca-certificates",
    what: "one certificate less",
    change: (root) => rmSync(found(root, /mozilla\/ISRG_Root_X2\.crt$/)),
  },
  {
    package: "libcommons-logging-java",
    what: "jars made at another time, manifest with another builder",
    change: (root) => {
      const jar = found(root, /commons-logging-1\.2\.jar$|commons-logging\.jar$/);
      edit(jar, (bytes) => rezipped(bytes));
    },
  },
  {
    package: "shared-mime-info",
    what: "XML: one attribute in 2 MB",
    change: (root) =>
      editText(found(root, /packages\/freedesktop\.org\.xml$/), (text) =>
        text.replace('priority="60"', 'priority="61"').replace("Image", "Picture"),
      ),
  },
  {
    package: "media-types",
    what: "a list sorted by another locale",
    change: (root) => editText(join(root, "etc/mime.types"), (text) => reversed(text, 100, 40)),
  },
  {
    package: "ncurses-base",
    what: "one byte of a terminfo entry; a link elsewhere",
    change: (root) => flip(join(root, "lib/terminfo/x/xterm-256color"), 100),
  },
  {
    package: "busybox-static",
    what: "a static program with one byte flipped in the middle",
    change: (root) => {
      const program = found(root, /bin\/busybox$/);
      flip(program, sectionOf(program, ".text").offset + 500_000);
    },
  },
  {
    package: "cpio",
    what: "the members of data.tar in another order",
    change: () => undefined,
    pack: packReordered,
  },
  {
    package: "jq",
    what: "the same contents, data.tar compressed by zstd",
    change: () => undefined,
    pack: (root, into) => void run("dpkg-deb", ["--root-owner-group", "-Zzstd", "--build", root, into]),
  },
  {
    package: "wget",
    what: "documentation with a date; another build-id",
    change: (root) => {
      editGzip(found(root, /wget\.1\.gz$/), (text) =>
        text.replace(/^\.TH (.*)$/m, '.TH WGET 1 "2024-02-29" "GNU Wget"'),
      );
      const program = join(root, "usr/bin/wget");
      flip(program, sectionOf(program, ".note.gnu.build-id").offset + 20);
    },
  },
];

function rezipped(bytes: Buffer): Buffer {
  return inScratch((folder) => {
    write(join(folder, "in.jar"), bytes);
    const tree = join(folder, "tree");
    mkdirSync(tree);
    const names = run("zipinfo", ["-1", "in.jar"], { cwd: folder }).toString().trim().split("\n");
    run("unzip", ["-q", "../in.jar"], { cwd: tree });
    editText(join(tree, "META-INF/MANIFEST.MF"), (text) =>
      text.replace(/^(Manifest-Version: .*)$/m, "$1\r\nBuilt-By: somebody"),
    );
    for (const path of below(tree)) utimesSync(path, 1_600_000_000, 1_600_000_000);
    run("zip", ["-q", "-X", "-@", "../out.jar"], { cwd: tree, input: `${names.join("\n")}\n` });
    return readFileSync(join(folder, "out.jar"));
  });
}

function packReordered(root: string, into: string): void {
  inScratch((folder) => {
    const names = run("find", [".", "-path", "./DEBIAN", "-prune", "-o", "-print"], { cwd: root })
      .toString()
      .trim()
      .split("\n")
      .toSorted()
      .toReversed();
    const owner = ["--owner=0", "--group=0", "--numeric-owner", "--no-recursion", "--format=gnu"];
    const plain = join(folder, "plain.deb");
    run("dpkg-deb", [...BUILD, root, plain]);
    run("ar", ["x", plain], { cwd: folder });
    run("tar", [...owner, `--mtime=@${THEN}`, "--clamp-mtime", "-cJf", join(folder, "data.tar.xz"), "-T", "-"], {
      cwd: root,
      input: `${names.join("\n")}\n`,
    });
    run("ar", ["rcD", into, "debian-binary", "control.tar.xz", "data.tar.xz"], { cwd: folder });
  });
}

/** The package with its module compiled, as one that was built where `dh_python` did so would have it. */
function packWithPyc(root: string, into: string, mtime: number): void {
  const source = found(root, /six\.py$/);
  utimesSync(source, mtime, mtime);
  const script =
    "import sys,py_compile\npy_compile.compile(sys.argv[1], dfile='/usr/lib/python3/dist-packages/six.py')\n";
  run("/usr/bin/python3", ["-c", script, source], { env: { SOURCE_DATE_EPOCH: "" } });
  utimesSync(source, THEN, THEN);
  for (const path of filesBelow(root)) if (path.endsWith(".pyc")) utimesSync(path, THEN, THEN);
  run("dpkg-deb", [...BUILD, root, into]);
}

/** `md5sums` follows what was changed. */
function followSums(root: string): void {
  const list = join(root, "DEBIAN/md5sums");
  if (!existsSync(list)) return;
  edit(list, (bytes) =>
    bytes
      .toString("latin1")
      .split("\n")
      .filter((line) => line === "" || existsSync(join(root, line.slice(34))))
      .map((line) => {
        if (line === "") return line;
        const path = line.slice(34);
        const sum = createHash("md5")
          .update(readFileSync(join(root, path)))
          .digest("hex");
        return `${sum}  ${path}`;
      })
      .join("\n"),
  );
}

function packedTwice(name: string, { change, pack }: Plant, a: string, b: string): void {
  inScratch((folder) => {
    run("apt-get", ["download", "-q", name], { cwd: folder });
    const [archive = ""] = readdirSync(folder).filter((file) => file.endsWith(".deb"));
    const [one, other] = [join(folder, "one"), join(folder, "other")];
    run("dpkg-deb", ["-R", join(folder, archive), one]);
    copyTree(one, other);
    change(other);
    followSums(other);
    // a package with compiled modules has them on both sides
    if (name === "python3-six") packWithPyc(one, a, THEN);
    else run("dpkg-deb", [...BUILD, one, a]);
    if (pack === undefined) run("dpkg-deb", [...BUILD, other, b]);
    else pack(other, b);
  });
}

export const DEBIAN: readonly Pair[] = PLANTS.map((plant) => ({
  name: `deb-${plant.package}`,
  what: plant.what,
  file: `${plant.package}.deb`,
  make: (a, b) => packedTwice(plant.package, plant, a, b),
}));

/** Kernels as Debian signs and publishes them. */
export const KERNELS: readonly Pair[] = [
  {
    name: "kernel-flip",
    what: "a kernel (bzImage) with one byte flipped",
    file: "vmlinuz",
    make: (a, b) =>
      inKernel((root) => {
        for (const side of [a, b]) copyTree(found(join(root, "boot"), /vmlinuz-/), side);
        flip(b, 4_000_000);
      }),
  },
  {
    name: "kernel-module",
    what: "a kernel's module with one byte flipped in .text",
    file: "module.ko",
    make: (a, b) =>
      inKernel((root) => {
        const from = largest(filesBelow(root).filter((path) => path.endsWith(".ko")));
        for (const side of [a, b]) copyTree(from, side);
        flip(b, sectionOf(b, ".text").offset + 10_000);
      }),
  },
  {
    name: "kernel-modules",
    what: "a folder of a kernel's modules, three of them with one byte flipped",
    file: "kernel",
    make: (a, b) =>
      inKernel((root) => {
        const modules = found(root, /\/modules\.builtin$/).replace(/\/[^/]*$/, "/kernel");
        for (const side of [a, b]) copyTree(modules, side);
        const all = filesBelow(b).filter((path) => path.endsWith(".ko"));
        for (const at of [10, 100, 200]) {
          const path = all[at];
          if (path !== undefined) flip(path, sectionOf(path, ".text").offset + 40);
        }
      }),
  },
];

function largest(paths: readonly string[]): string {
  const [first] = paths.toSorted((one, other) => lstatSync(other).size - lstatSync(one).size);
  if (first === undefined) throw new Error("no modules");
  return first;
}

function inKernel(work: (root: string) => void): void {
  inScratch((folder) => {
    const depends = run("apt-cache", ["depends", "linux-image-cloud-amd64"]).toString();
    const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
    if (name === undefined) throw new Error("linux-image-cloud-amd64 depends on no image");
    run("apt-get", ["download", "-q", name], { cwd: folder });
    const [archive = ""] = readdirSync(folder).filter((file) => file.endsWith(".deb"));
    run("dpkg-deb", ["-x", join(folder, archive), join(folder, "root")]);
    work(join(folder, "root"));
  });
}
