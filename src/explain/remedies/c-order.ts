import { codeOf, languageOf } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import { oneEdit } from "./one-edit.ts";
import type { Remedy } from "./remedy.ts";

/** Reads a folder to its end at the first call, and gives its entries by name; several folders may be open at a time. */
const SORTED = `
#include <stdlib.h>
#include <string.h>
/* readdir in the order of names, whatever the file system's is. */
struct sorted_folder { DIR *folder; struct dirent **entries; size_t count, next; struct sorted_folder *rest; };
static struct sorted_folder *sorted_folders;
static int by_name(const void *a, const void *b) {
  return strcmp((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}
static struct dirent *sorted_readdir(DIR *folder) {
  struct sorted_folder *one = sorted_folders;
  while (one != NULL && one->folder != folder) one = one->rest;
  if (one == NULL) {
    struct dirent *entry;
    one = (struct sorted_folder *)calloc(1, sizeof *one);
    if (one == NULL) abort();
    one->folder = folder;
    while ((entry = readdir(folder)) != NULL) {
      struct dirent *copy = (struct dirent *)malloc(entry->d_reclen > sizeof *entry ? entry->d_reclen : sizeof *entry);
      one->entries = (struct dirent **)realloc(one->entries, (one->count + 1) * sizeof *one->entries);
      if (copy == NULL || one->entries == NULL) abort();
      memcpy(copy, entry, entry->d_reclen);
      one->entries[one->count++] = copy;
    }
    if (one->count > 0) qsort(one->entries, one->count, sizeof *one->entries, by_name);
    one->rest = sorted_folders;
    sorted_folders = one;
  }
  return one->next < one->count ? one->entries[one->next++] : NULL;
}
static int sorted_closedir(DIR *folder) {
  struct sorted_folder **at = &sorted_folders;
  while (*at != NULL && (*at)->folder != folder) at = &(*at)->rest;
  if (*at != NULL) {
    struct sorted_folder *one = *at;
    *at = one->rest;
    while (one->count > 0) free(one->entries[--one->count]);
    free(one->entries);
    free(one);
  }
  return closedir(folder);
}
`;

export const cOrder: Remedy = {
  name: "c-order",
  causes: ["readdir-order", "filesystem"],
  intrusion: "patch",
  says: "C reads folders in the order of names: a readdir that sorts",
  propose: (project) =>
    [...project.files].flatMap(([path, text]): TextEdit[] => {
      if (languageOf(path, text) !== "c" || !text.includes("readdir")) return [];
      const { bare } = codeOf(text, "c");
      // A folder that another file opens or closes, or that is gone back in, is not followed.
      const whole = ["opendir", "readdir", "closedir"].every((name) => new RegExp(`\\b${name}\\s*\\(`).test(bare));
      if (!whole || /\b(?:readdir_r|rewinddir|seekdir|telldir|sorted_readdir|by_name)\b/.test(bare)) return [];
      const include = [...bare.matchAll(/^[ \t]*#[ \t]*include\b[^\n]*\n/gm)].at(-1);
      // Within a condition of the preprocessor it might not be compiled.
      if (include === undefined || isConditional(bare.slice(0, include.index))) return [];
      const at = include.index + include[0].length;
      const calls = [...bare.matchAll(/(?<![\w.>])(?:readdir|closedir)(?=\s*\()/g)].filter(({ index }) => index >= at);
      return oneEdit(path, text, [
        { start: at, end: at, after: SORTED },
        ...calls.map(({ 0: name, index }) => ({ start: index, end: index + name.length, after: `sorted_${name}` })),
      ]);
    }),
};

function isConditional(before: string): boolean {
  const count = (pattern: RegExp): number => [...before.matchAll(pattern)].length;
  return count(/^[ \t]*#[ \t]*if/gm) > count(/^[ \t]*#[ \t]*endif/gm);
}
