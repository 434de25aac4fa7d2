/** Pairs made from nothing but programs of this machine: archives, programs and the kinds of file that builds give. */
import { createWriteStream, mkdirSync, readFileSync, renameSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { tarHeader, ZERO_BLOCKS } from "../../bench/tar.ts";
import { below, copyTree, editText, flip, inScratch, type Pair, run, settle, THEN, trees, write } from "./workshop.ts";

/** A tar of text files with one line changed in one of them, if `changed`. */
async function writeTar(path: string, members: number, lines: number, changed: boolean): Promise<void> {
  const file = createWriteStream(path);
  for (let member = 0; member < members; member++) {
    const text = Array.from(
      { length: lines },
      (_, at) => `${member} line ${at}: ${"the quick brown fox ".repeat(1 + (at % 3))}`,
    );
    if (changed && member === Math.floor(members * 0.7)) text[Math.floor(lines / 2)] = "this line is another one";
    const content = Buffer.from(text.join("\n"));
    const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
    const header = tarHeader(`tree/${member % 64}/file-${member}.txt`, content.length);
    if (!file.write(Buffer.concat([header, content, padding]))) {
      await new Promise<void>((resolve) => void file.once("drain", () => resolve()));
    }
  }
  await new Promise<void>((resolve) => void file.end(ZERO_BLOCKS, () => resolve()));
  utimesSync(path, THEN, THEN);
}

const tars =
  (members: number, lines: number, changed: boolean) =>
  async (a: string, b: string): Promise<void> => {
    await writeTar(a, members, lines, false);
    await writeTar(b, members, lines, changed);
  };

const sentence = (at: number): string => `sentence ${at} of a text that nobody need read, ${(at * 7919) % 1009}\n`;
const page = (seed: number, lines: number): string =>
  Array.from({ length: lines }, (_, at) => sentence(seed * 31 + at)).join("");

/** A tree of text files, changed as two builds would: one file's line, one more file, one mode and one time. */
function sourceTrees(folder: string, files: number): [string, string] {
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  for (let at = 0; at < files; at++) write(join(a, `dir-${at % 7}/file-${at}.txt`), page(at, 60));
  settle(a);
  copyTree(a, b);
  editText(join(b, "dir-0/file-0.txt"), (text) => text.replace("sentence 3", "phrase 3"));
  write(join(b, "dir-1/added.txt"), "one more file\n");
  run("chmod", ["775", join(b, "dir-2/file-2.txt")]);
  utimesSync(join(b, "dir-3/file-3.txt"), 1_234_567_890, 1_234_567_890);
  for (const name of ["dir-1", "dir-2", "dir-3", "."]) utimesSync(join(b, name), THEN, THEN);
  return [a, b];
}

/** Packs two such trees by a command that writes to its last word. */
const packed =
  (files: number, pack: (tree: string, into: string) => void) =>
  (a: string, b: string): void =>
    inScratch((folder) => {
      const [one, other] = sourceTrees(folder, files);
      pack(one, a);
      pack(other, b);
    });

function tarOf(tree: string, into: string, options: readonly string[]): void {
  run(
    "tar",
    ["--sort=name", "--format=gnu", "--owner=0", "--group=0", "--numeric-owner", ...options, "-cf", into, "."],
    {
      cwd: tree,
    },
  );
}

function zipOf(tree: string, into: string): void {
  const names = below(tree).map((path) => path.slice(tree.length + 1));
  // zip stores the time of the last reading, too
  for (const path of below(tree)) utimesSync(path, THEN, statSync(path).mtime);
  run("zip", ["-q", "-@", `${into}.zip`], { cwd: tree, input: `${names.join("\n")}\n` });
  renameSync(`${into}.zip`, into);
}

function classes(tree: string, option: string): void {
  const names = Array.from({ length: 500 }, (_, at) => `Class${at}`);
  for (const [at, name] of names.entries()) {
    write(
      join(tree, `src/example/${name}.java`),
      `package example;\npublic class ${name} {\n  private int count = ${at};\n` +
        `  public int add(int more) {\n    int sum = count + more;\n    for (int i = 0; i < ${at + 2}; i++) sum += i;\n` +
        `    return sum;\n  }\n  public String toString() { return "${name} " + count; }\n}\n`,
    );
  }
  const sources = names.map((name) => join(tree, `src/example/${name}.java`));
  run("javac", [option, "--release", "11", "-d", join(tree, "out"), ...sources]);
  settle(join(tree, "out"));
}

/** About 2 MB of program with debug information, from C in a folder of that name. */
function program(folder: string, into: string, options: readonly string[] = []): void {
  const units = 60;
  for (let unit = 0; unit < units; unit++) {
    const functions = Array.from(
      { length: 60 },
      (_, at) =>
        `struct s_${unit}_${at} { int first; long second; const char *name_${at}; };\n` +
        `int work_${unit}_${at}(struct s_${unit}_${at} *s, int n) {\n  int sum = ${at};\n` +
        `  for (int i = 0; i < n; i++) { sum += s->first * i; if (sum > ${unit + 5}) s->second++; }\n` +
        `  return sum + (int)s->second;\n}\n`,
    );
    write(
      join(folder, `unit-${unit}.c`),
      `#include <stdio.h>\n${functions.join("")}\nconst char *file_${unit} = __FILE__;\n`,
    );
  }
  write(
    join(folder, "main.c"),
    `extern const char *file_7;\n#include <stdio.h>\nint main(void) { puts(file_7); return 0; }\n`,
  );
  const sources = [...Array.from({ length: units }, (_, unit) => `unit-${unit}.c`), "main.c"];
  run("gcc", ["-g", "-O1", ...options, "-o", into, ...sources.map((name) => join(folder, name))], { cwd: folder });
}

const PYTHON_COMPILE = "import sys,compileall\ncompileall.compile_dir(sys.argv[1],quiet=1,ddir='/usr/lib/example')\n";

function compiled(tree: string): void {
  run("/usr/bin/python3", ["-c", PYTHON_COMPILE, tree], { env: { SOURCE_DATE_EPOCH: "" } });
  run("find", [tree, "-name", "*.py", "-delete"]);
  settle(tree);
}

function database(into: string, changed: boolean): void {
  const rows = Array.from(
    { length: 2000 },
    (_, at) => `insert into package values(${at}, 'package-${at}', ${changed && at === 1234 ? 99 : at % 50});`,
  );
  const schema =
    "pragma page_size=4096; create table package(id integer primary key, name text, size integer);" +
    "create index by_name on package(name);";
  const more = changed ? "create table extra(what text); insert into extra values('one more');" : "";
  run("sqlite3", [into], { input: `${schema}begin;${rows.join("\n")}commit;${more}` });
}

/** A PDF of a few pages of text, its streams compressed, by qpdf from objects written here. */
function pdf(into: string, date: string, word: string): void {
  const pages = 5;
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    `<</Type/Pages/Count ${pages}/Kids[${Array.from({ length: pages }, (_, at) => `${4 + at * 2} 0 R`).join(" ")}]>>`,
    "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
  ];
  for (let at = 0; at < pages; at++) {
    const lines = Array.from(
      { length: 30 },
      (_, line) => `0 -14 Td (Page ${at} line ${line} ${line === 9 && at === 3 ? word : "text"}) Tj`,
    );
    const content = `BT /F1 12 Tf 50 800 Td ${lines.join("\n")} ET`;
    objects.push(
      `<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents ${5 + at * 2} 0 R/Resources<</Font<</F1 3 0 R>>>>>>`,
    );
    objects.push(`<</Length ${content.length}>>\nstream\n${content}\nendstream`);
  }
  objects.push(`<</Producer(pairs)/CreationDate(D:${date}Z)/ModDate(D:${date}Z)>>`);
  const body = objects.map((object, at) => `${at + 1} 0 obj\n${object}\nendobj\n`).join("");
  inScratch((folder) => {
    write(
      join(folder, "in.pdf"),
      `%PDF-1.4\n${body}trailer\n<</Root 1 0 R/Info ${objects.length} 0 R/Size ${objects.length + 1}>>\n%%EOF\n`,
    );
    // it says that it mended the missing table of offsets, by exit code 3
    run("sh", [
      "-c",
      'qpdf --deterministic-id --compress-streams=y --warning-exit-0 "$0" "$1" 2>&1',
      join(folder, "in.pdf"),
      into,
    ]);
  });
}

function lockfile(changed: boolean): string {
  const packages = Object.fromEntries(
    Array.from({ length: 400 }, (_, at) => [
      `node_modules/package-${at}`,
      { version: changed && at === 77 ? "2.0.0" : `1.${at}.0`, license: "MIT", dependencies: { other: `^${at}.0.0` } },
    ]),
  );
  const entries = Object.entries(packages);
  if (changed) entries.push(...entries.splice(100, 1));
  return `${JSON.stringify({ name: "example", lockfileVersion: 3, packages: Object.fromEntries(entries) }, null, 2)}\n`;
}

function image(into: string, time: string, colour: string): void {
  const draw = ["-size", "320x240", "gradient:blue-white", "-fill", colour, "-draw", "rectangle 40,40 90,80"];
  run("convert", [...draw, "-set", "comment", `made ${time}`, "-define", "png:exclude-chunk=date", `png:${into}`]);
}

function library(into: string, folder: string, flags: string): void {
  mkdirSync(folder, { recursive: true });
  for (let at = 0; at < 12; at++) {
    write(
      join(folder, `part${at}.c`),
      `int part${at}(int n) { return n * ${at + 2}; }\nconst char *where${at} = __FILE__;\n`,
    );
  }
  const names = Array.from({ length: 12 }, (_, at) => `part${at}`);
  run("gcc", ["-c", "-O2", ...names.map((name) => join(folder, `${name}.c`))], { cwd: folder });
  settle(folder, flags.includes("U") ? 1_234_567_890 : THEN);
  run("ar", [flags, into, ...names.map((name) => `${name}.o`)], { cwd: folder });
}

const both =
  (make: (into: string, second: boolean) => void) =>
  (a: string, b: string): void => {
    make(a, false);
    make(b, true);
  };

const ARCHIVES: readonly Pair[] = [
  {
    name: "tar-200",
    what: "200 MB tar of 10,258 files, one line changed",
    file: "tree.tar",
    make: tars(10_258, 348, true),
  },
  { name: "tar-50", what: "50 MB tar of 2,500 files, one line changed", file: "tree.tar", make: tars(2500, 348, true) },
  { name: "equal-200", what: "equal: two copies of the 200 MB tar", file: "tree.tar", make: tars(10_258, 348, false) },
  { name: "equal-small", what: "equal: two copies of a small tar", file: "tree.tar", make: tars(10, 10, false) },
  {
    name: "text-small",
    what: "text of 200 lines: one changed, one added",
    file: "notes.txt",
    make: both((into, second) =>
      write(into, second ? page(1, 200).replace("sentence 99", "phrase 99") + "more\n" : page(1, 200)),
    ),
  },
  {
    name: "targz-100",
    what: "tar.gz of 100 files",
    file: "tree.tar.gz",
    make: packed(100, (tree, into) => tarOf(tree, into, ["-z"])),
  },
  {
    name: "tarxz-100",
    what: "tar.xz of 100 files",
    file: "tree.tar.xz",
    make: packed(100, (tree, into) => tarOf(tree, into, ["-J"])),
  },
  {
    name: "tarzst-100",
    what: "tar.zst of 100 files",
    file: "tree.tar.zst",
    make: packed(100, (tree, into) => tarOf(tree, into, ["--zstd"])),
  },
  {
    name: "tarbz2-100",
    what: "tar.bz2 of 100 files",
    file: "tree.tar.bz2",
    make: packed(100, (tree, into) => tarOf(tree, into, ["-j"])),
  },
  { name: "zip-500", what: "zip of 500 files", file: "tree.zip", make: packed(500, zipOf) },
  {
    name: "cpio-100",
    what: "cpio (newc) of 100 files",
    file: "tree.cpio",
    make: packed(100, (tree, into) => {
      const list = below(tree)
        .map((path) => path.slice(tree.length + 1))
        .join("\n");
      run("sh", ["-c", 'cpio --quiet --reproducible -o -H newc -R 0:0 > "$0"', into], {
        cwd: tree,
        input: `${list}\n`,
      });
    }),
  },
  {
    name: "folder",
    what: "two folders of 300 files",
    file: "tree",
    make: packed(300, (tree, into) => copyTree(tree, into)),
  },
  {
    name: "jar-500",
    what: "jar of 500 classes compiled with -g:none and -g",
    file: "classes.jar",
    make: both((into, second) =>
      inScratch((folder) => {
        classes(folder, second ? "-g" : "-g:none");
        zipOf(join(folder, "out"), into);
      }),
    ),
  },
];

const PROGRAMS: readonly Pair[] = [
  {
    name: "elf-bash",
    what: "bash with one byte flipped",
    file: "bash",
    make: (a, b) => {
      for (const side of [a, b]) run("cp", ["--preserve=mode", "/bin/bash", side]);
      flip(b, 400_000);
    },
  },
  {
    name: "elf-node",
    what: "Node's own program with one byte flipped",
    file: "node",
    make: (a, b) => {
      for (const side of [a, b]) run("cp", ["--preserve=mode", process.execPath, side]);
      flip(b, Math.floor(readFileSync(b).length / 2));
    },
  },
  {
    name: "elf-debug",
    what: "2 MB program with debug information, built in another folder",
    file: "program",
    make: both((into, second) => inScratch((folder) => program(join(folder, second ? "another/place" : "one"), into))),
  },
  {
    name: "elf-optimised",
    what: "a program with one function compiled otherwise (-DMORE)",
    file: "program",
    make: both((into, second) =>
      inScratch((folder) => {
        write(
          join(folder, "p.c"),
          "#include <stdio.h>\nint one(int n) {\n#ifdef MORE\n  n *= 3;\n#endif\n  return n + 1;\n}\n" +
            'int two(int n) { return n * 2; }\nint main(int c, char **v) { (void)v; printf("%d %d\\n", one(c), two(c)); return 0; }\n',
        );
        run("gcc", ["-O1", "-fno-inline", ...(second ? ["-DMORE"] : []), "-o", into, "p.c"], { cwd: folder });
      }),
    ),
  },
  {
    name: "go-program",
    what: "a Go program with another -ldflags -X value",
    file: "hello",
    make: both((into, second) =>
      inScratch((folder) => {
        write(join(folder, "go.mod"), "module example.org/hello\n\ngo 1.21\n");
        write(
          join(folder, "main.go"),
          'package main\n\nvar version = "none"\n\nfunc main() { println("hello", version) }\n',
        );
        run("go", ["build", "-trimpath", `-ldflags=-X main.version=${second ? "1.0.1" : "1.0.0"}`, "-o", into, "."], {
          cwd: folder,
        });
      }),
    ),
  },
  {
    name: "rust-program",
    what: "a Rust program with debug information, built in another folder",
    file: "hello",
    make: both((into, second) =>
      inScratch((folder) => {
        const place = join(folder, second ? "elsewhere" : "here");
        write(join(place, "main.rs"), 'fn main() { println!("hello {}", std::env::args().count()); }\n');
        run("rustc", ["-g", "-o", into, "main.rs"], { cwd: place });
      }),
    ),
  },
  {
    name: "pe-program",
    what: "a Windows program with another time stamp and string",
    file: "hello.exe",
    make: both((into, second) =>
      inScratch((folder) => {
        const word = second ? "farewell" : "greeting";
        write(join(folder, "p.c"), `#include <stdio.h>\nint main(void) { puts("${word}"); return 0; }\n`);
        run("x86_64-w64-mingw32-gcc", ["-O1", "-o", into, "p.c"], {
          cwd: folder,
          env: { SOURCE_DATE_EPOCH: second ? "1600000000" : String(THEN) },
        });
      }),
    ),
  },
  {
    name: "wasm",
    what: "a WebAssembly module with another constant and name",
    file: "module.wasm",
    make: both((into, second) =>
      inScratch((folder) => {
        const functions = Array.from(
          { length: 50 },
          (_, at) =>
            `(func $f${at} (param i32) (result i32) local.get 0 i32.const ${second && at === 20 ? 4242 : at} i32.add)`,
        );
        write(
          join(folder, "m.wat"),
          `(module ${functions.join("\n")} (export "${second ? "renamed" : "run"}" (func $f3)))`,
        );
        run("wat2wasm", ["--debug-names", join(folder, "m.wat"), "-o", into]);
      }),
    ),
  },
  {
    name: "static-library",
    what: "a static library: built elsewhere, with real times and owners",
    file: "libparts.a",
    make: both((into, second) =>
      inScratch((folder) => library(into, join(folder, second ? "there" : "here"), second ? "rcsU" : "rcsD")),
    ),
  },
  {
    name: "class",
    what: "a Java class of another source line and method",
    file: "Thing.class",
    make: both((into, second) =>
      inScratch((folder) => {
        const more = second ? "  long twice() { return 2L * n; }\n" : "";
        write(
          join(folder, "Thing.java"),
          `class Thing {\n  int n = ${second ? 8 : 7};\n${more}  String name() { return "thing " + n; }\n}\n`,
        );
        run("javac", ["-g", "--release", "11", "-d", folder, join(folder, "Thing.java")]);
        run("cp", [join(folder, "Thing.class"), into]);
      }),
    ),
  },
];

const DOCUMENTS: readonly Pair[] = [
  {
    name: "pyc-trees",
    what: "compiled Python packages: other times, one changed source",
    file: "lib",
    make: (a, b) =>
      inScratch((folder) => {
        const from = join(folder, "lib");
        for (const name of ["json", "email", "http"]) copyTree(`/usr/lib/python3.11/${name}`, join(from, name));
        run("find", [from, "-name", "__pycache__", "-prune", "-exec", "rm", "-r", "{}", "+"]);
        settle(from);
        trees(a, b, from, (tree) => {
          editText(join(tree, "json/__init__.py"), (text) => text.replace("skipkeys=False", "skipkeys=True"));
          utimesSync(join(tree, "email/charset.py"), 1_234_567_890, 1_234_567_890);
        });
        for (const side of [a, b]) compiled(side);
      }),
  },
  { name: "sqlite", what: "a database: one value, one table more", file: "packages.sqlite", make: both(database) },
  {
    name: "png",
    what: "a picture: another comment, a rectangle of another colour",
    file: "picture.png",
    make: both((into, second) => image(into, second ? "later" : "early", second ? "orange" : "red")),
  },
  {
    name: "pdf",
    what: "a PDF: dates, and one word of one page",
    file: "paper.pdf",
    make: both((into, second) => pdf(into, second ? "20240229123400" : "20231114221320", second ? "word" : "text")),
  },
  {
    name: "font",
    what: "a font: time of modification, one glyph's width, a name",
    file: "font.ttf",
    make: both((into, second) =>
      inScratch((folder) => {
        run("apt-get", ["download", "-q", "fonts-dejavu-core"], { cwd: folder });
        run("sh", ["-c", "dpkg-deb -x *.deb root"], { cwd: folder });
        const script =
          "import sys\nfrom fontTools.ttLib import TTFont\nf=TTFont(sys.argv[1],recalcTimestamp=False)\n" +
          (second
            ? "f['head'].modified=3700000000\nf['hmtx'].metrics['A']=(1500,7)\nf['name'].setName('Other Sans',1,3,1,0x409)\n"
            : "") +
          "f.save(sys.argv[2])\n";
        run("/usr/bin/python3", [
          "-c",
          script,
          join(folder, "root/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
          into,
        ]);
      }),
    ),
  },
  {
    name: "json",
    what: "a lockfile: one version, one entry elsewhere",
    file: "package-lock.json",
    make: both((into, second) => write(into, lockfile(second))),
  },
  {
    name: "json-minified",
    what: "JSON in one line: one value",
    file: "data.json",
    make: both((into, second) => write(into, JSON.stringify(JSON.parse(lockfile(second))))),
  },
  {
    name: "messages",
    what: "a catalogue of messages: date, one translation",
    file: "messages.mo",
    make: both((into, second) => {
      const entries = Array.from(
        { length: 80 },
        (_, at) => `msgid "text ${at}"\nmsgstr "Text ${at}${second && at === 40 ? " neu" : ""}"\n`,
      );
      const header = `msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"PO-Revision-Date: ${second ? "2024-02-29" : "2023-11-14"} 12:00+0000\\n"\n`;
      run("msgfmt", ["-o", into, "-"], { input: `${header}\n${entries.join("\n")}` });
    }),
  },
  {
    name: "certificate",
    what: "two certificates of the same name, one valid for longer",
    file: "certificate.pem",
    make: both((into, second) =>
      inScratch((folder) => {
        const key = join(folder, "key.pem");
        run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", key]);
        run("openssl", [
          "req",
          "-x509",
          "-new",
          "-key",
          key,
          "-subj",
          "/CN=example.org/O=Example",
          "-days",
          second ? "730" : "365",
          "-set_serial",
          second ? "2" : "1",
          "-out",
          into,
        ]);
      }),
    ),
  },
  {
    name: "html",
    what: "a page of documentation: date and one link",
    file: "index.html",
    make: both((into, second) => {
      const items = Array.from(
        { length: 300 },
        (_, at) =>
          `<li id="i${at}"><a href="${second && at === 150 ? "other" : "page"}-${at}.html">Item ${at}</a></li>`,
      );
      write(
        into,
        `<!DOCTYPE html>\n<html><head><title>Index</title><meta name="date" content="${second ? "2024-02-29" : "2023-11-14"}"></head><body><ul>\n${items.join("\n")}\n</ul></body></html>\n`,
      );
    }),
  },
  {
    name: "xml",
    what: "XML in one line: one attribute",
    file: "index.xml",
    make: both((into, second) => {
      const items = Array.from(
        { length: 500 },
        (_, at) => `<item id="${at}" state="${second && at === 333 ? "changed" : "plain"}">text ${at}</item>`,
      );
      write(into, `<?xml version="1.0"?><index>${items.join("")}</index>`);
    }),
  },
];

export const MADE: readonly Pair[] = [...ARCHIVES, ...PROGRAMS, ...DOCUMENTS];
