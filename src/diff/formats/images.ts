import {
  looksLikeCramfs,
  looksLikeDeviceTree,
  looksLikeDisk,
  looksLikeErofs,
  looksLikeExt4,
  looksLikeFat,
  looksLikeIso,
  looksLikeQcow2,
  looksLikeRomfs,
  looksLikeSquashfs,
  looksLikeTables,
  looksLikeTails,
  looksLikeUimage,
} from "../../format/image-magic.ts";
import type { FormatEntry } from "./entry.ts";

/** File systems and images. */
export const IMAGES: readonly FormatEntry[] = [
  {
    name: "squashfs",
    looksLike: looksLikeSquashfs,
    load: async () => (await import("../../format/squashfs.ts")).squashfsParts,
  },
  {
    name: "squashfs metadata",
    looksLike: looksLikeTables,
    load: async () => (await import("../../format/squashfs-metadata.ts")).squashfsMetadataParts,
  },
  {
    name: "squashfs fragments",
    looksLike: looksLikeTails,
    load: async () => (await import("../../format/squashfs-tails.ts")).squashfsTailParts,
  },
  {
    name: "ext4",
    looksLike: looksLikeExt4,
    load: async () => (await import("../../format/ext4.ts")).ext4Parts,
  },
  {
    name: "erofs",
    looksLike: looksLikeErofs,
    load: async () => (await import("../../format/erofs.ts")).erofsParts,
  },
  {
    name: "cramfs",
    looksLike: looksLikeCramfs,
    load: async () => (await import("../../format/cramfs.ts")).cramfsParts,
  },
  {
    name: "romfs",
    looksLike: looksLikeRomfs,
    load: async () => (await import("../../format/romfs.ts")).romfsParts,
  },
  {
    name: "qcow2",
    looksLike: looksLikeQcow2,
    load: async () => (await import("../../format/qcow2.ts")).qcow2Parts,
  },
  {
    name: "ISO 9660",
    looksLike: looksLikeIso,
    load: async () => (await import("../../format/iso9660.ts")).iso9660Parts,
  },
  {
    name: "FAT",
    looksLike: looksLikeFat,
    load: async () => (await import("../../format/fat.ts")).fatParts,
  },
  {
    name: "disk image",
    looksLike: looksLikeDisk,
    load: async () => (await import("../../format/partition-table.ts")).diskParts,
  },

  {
    name: "device tree",
    looksLike: looksLikeDeviceTree,
    load: async () => (await import("../../format/device-tree.ts")).deviceTreeParts,
  },
  {
    name: "U-Boot image",
    looksLike: looksLikeUimage,
    load: async () => (await import("../../format/uimage.ts")).uimageParts,
  },
];
