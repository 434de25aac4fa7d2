import { ARCHIVES } from "./formats/archives.ts";
import { DOCUMENTS } from "./formats/documents.ts";
import type { FormatEntry } from "./formats/entry.ts";
import { IMAGES } from "./formats/images.ts";
import { PROGRAMS } from "./formats/programs.ts";

/** In the order in which they are tried: the more specific before the more general. */
export const FORMATS: readonly FormatEntry[] = [...ARCHIVES, ...IMAGES, ...PROGRAMS, ...DOCUMENTS];
