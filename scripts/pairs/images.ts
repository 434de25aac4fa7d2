/** File systems and images: of base systems as Debian's tools assemble them, and of a small tree. */
import { existsSync, mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { copyTree, editText, flip, inScratch, type Pair, run, settle, THEN, write } from "./workshop.ts";

/** A root of bookworm's essential packages, and those named. */
function base(into: string, include: readonly string[]): void {
  const more = include.length === 0 ? [] : [`--include=${include.join(",")}`];
  run("mmdebstrap", ["--quiet", "--variant=minbase", ...more, "bookworm", into]);
}

function ociLayout(layout: string, rootTar: string, folder: string): void {
  run("umoci", ["init", "--layout", layout]);
  run("umoci", ["new", "--image", `${layout}:base`]);
  const bundle = join(folder, "bundle");
  run("umoci", ["unpack", "--image", `${layout}:base`, bundle]);
  run("tar", ["-xpf", rootTar, "-C", join(bundle, "rootfs")]);
  run("umoci", ["repack", "--image", `${layout}:base`, bundle]);
  run("umoci", [
    "config",
    "--image",
    `${layout}:base`,
    "--created",
    "2023-11-14T22:13:20Z",
    "--history.created",
    "2023-11-14T22:13:20Z",
  ]);
  run("umoci", ["gc", "--layout", layout]);
}

function baseImages(a: string, b: string, archive: boolean): void {
  for (const [side, include] of [
    [a, []],
    [b, ["nano"]],
  ] as const) {
    inScratch((folder) => {
      const root = join(folder, "root.tar");
      base(root, include);
      const layout = join(folder, "layout");
      ociLayout(layout, root, folder);
      if (archive)
        run("skopeo", [
          "--insecure-policy",
          "copy",
          "-q",
          `oci:${layout}:base`,
          `docker-archive:${side}:example.org/base:1`,
        ]);
      else copyTree(layout, side);
    });
  }
}

/** Programs, libraries and documents of this machine as a file system would hold them, and the same with changes. */
function systems(folder: string): [string, string] {
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  for (const name of ["bin/ls", "bin/cat", "bin/cp", "etc/services", "etc/protocols"]) {
    mkdirSync(join(a, name, ".."), { recursive: true });
    run("cp", [`/${name}`, join(a, name)]);
  }
  for (let at = 0; at < 60; at++) write(join(a, `share/doc-${at % 5}/note-${at}.txt`), `note ${at}\n`.repeat(50));
  settle(a);
  copyTree(a, b);
  flip(join(b, "bin/ls"), 70_000);
  editText(join(b, "etc/services"), (text) => text.replace("tcpmux", "tcpmax"));
  write(join(b, "share/doc-1/added.txt"), "one more\n");
  utimesSync(join(b, "share/doc-2/note-2.txt"), 1_234_567_890, 1_234_567_890);
  run("chmod", ["775", join(b, "share/doc-3/note-3.txt")]);
  for (const name of ["share/doc-1", "bin", "etc"]) utimesSync(join(b, name), THEN, THEN);
  return [a, b];
}

const packedBy =
  (pack: (tree: string, into: string, second: boolean) => void) =>
  (a: string, b: string): void =>
    inScratch((folder) => {
      const [one, other] = systems(folder);
      pack(one, a, false);
      pack(other, b, true);
    });

const UUID = "01234567-89ab-cdef-0123-456789abcdef";

export const IMAGES: readonly Pair[] = [
  {
    name: "oci-layout",
    what: "OCI layouts of two bases of Debian, one with nano",
    file: "layout",
    make: (a, b) => baseImages(a, b, false),
  },
  {
    name: "docker-archive",
    what: "two bases of Debian as docker-save archives, one with nano",
    file: "image.tar",
    make: (a, b) => baseImages(a, b, true),
  },
  {
    name: "squashfs",
    what: "squashfs: one byte of a program, a line, a file more, a time, a mode",
    file: "image.squashfs",
    make: packedBy(
      (tree, into) => void run("mksquashfs", [tree, into, "-quiet", "-no-progress", "-all-root", "-processors", "1"]),
    ),
  },
  {
    name: "iso",
    what: "ISO 9660 with Joliet and Rock Ridge: the same changes",
    file: "image.iso",
    make: packedBy((tree, into) => void run("genisoimage", ["-quiet", "-J", "-R", "-V", "EXAMPLE", "-o", into, tree])),
  },
  {
    name: "ext4",
    what: "ext4: the same changes",
    file: "image.ext4",
    make: packedBy((tree, into) => {
      const env = { E2FSPROGS_FAKE_TIME: String(THEN) };
      run("mke2fs", ["-q", "-t", "ext4", "-d", tree, "-U", UUID, "-E", `hash_seed=${UUID}`, into, "8M"], { env });
    }),
  },
  {
    name: "erofs",
    what: "erofs: the same changes",
    file: "image.erofs",
    make: packedBy((tree, into) => void run("mkfs.erofs", ["--quiet", "-U", UUID, "--all-root", into, tree])),
  },
  {
    name: "fat",
    what: "FAT: the same changes",
    file: "image.fat",
    make: packedBy((tree, into) => {
      run("mkfs.vfat", ["-C", "-i", "12345678", "--invariant", into, "4096"]);
      run("mcopy", ["-s", "-p", "-m", "-i", into, join(tree, "bin"), join(tree, "etc"), join(tree, "share"), "::"]);
    }),
  },
  {
    name: "rpm",
    what: "an rpm built on another machine at another time, one script changed",
    file: "example.rpm",
    make: packedBy((tree, into, second) =>
      inScratch((folder) => {
        const date = second ? "Thu Feb 29 2024" : "Tue Nov 14 2023";
        write(
          join(folder, "example.spec"),
          `Name: example\nVersion: 1.0\nRelease: ${second ? 2 : 1}\nSummary: Example\nLicense: MIT\nBuildArch: x86_64\n%description\nExample.\n` +
            `%install\nmkdir -p %{buildroot}/opt\ncp -a ${tree} %{buildroot}/opt/example\n%post\necho ${second ? "installed" : "done"}\n` +
            `%files\n/opt/example\n%changelog\n* ${date} Somebody <somebody@example.org> - 1.0\n- Made\n`,
        );
        run(
          "rpmbuild",
          [
            "-bb",
            "--quiet",
            "--define",
            `_topdir ${folder}`,
            "--define",
            `_buildhost ${second ? "two" : "one"}.example.org`,
            "--define",
            "use_source_date_epoch_as_buildtime 1",
            "--define",
            "debug_package %{nil}",
            "--define",
            "__strip /bin/true",
            "--nodeps",
            join(folder, "example.spec"),
          ],
          { env: { SOURCE_DATE_EPOCH: second ? "1709210040" : String(THEN), HOME: folder } },
        );
        run("sh", ["-c", 'cp RPMS/*/*.rpm "$0"', into], { cwd: folder });
        if (!existsSync(into)) throw new Error(`${into} was not made`);
      }),
    ),
  },
  {
    name: "device-tree",
    what: "a device tree: one property",
    file: "board.dtb",
    make: (a, b) => {
      for (const [side, value] of [
        [a, "okay"],
        [b, "disabled"],
      ] as const) {
        const nodes = Array.from(
          { length: 30 },
          (_, at) => `node@${at} { reg = <${at}>; status = "${at === 11 ? value : "okay"}"; };`,
        );
        run("dtc", ["-q", "-I", "dts", "-O", "dtb", "-o", side, "-"], {
          input: `/dts-v1/; / { model = "example"; ${nodes.join(" ")} };`,
        });
      }
    },
  },
];
