import { against, type Variation, withField } from "./variation.ts";

const shown = (where: "memory" | undefined): string => (where === undefined ? "the machine's" : "tmpfs");

/** What kind of file system the build path lies on. */
export const filesystem: Variation = {
  name: "filesystem",
  optional: true,
  how: "The build path lies on a tmpfs: other device and inode numbers, sizes of folders, block counts. It takes memory, so it must be asked for.",
  shows: "Small integers: no watermark.",
  beyond:
    "Case-insensitive, overlay and network file systems; a machine whose temporary folder is a tmpfs already, or has too little memory: that is said.",
  describe: (a, b) => against("file system", shown(a.fileSystem), shown(b.fileSystem)),
  take: (world, other) => withField(world, other, "fileSystem"),
  watermarks: () => [],
  remedy:
    "record no inode, device or folder size (tar --format=ustar or --pax-option=delete=atime,delete=ctime; cpio --reproducible), and do not choose names that differ by case alone",
};
