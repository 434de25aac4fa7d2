import { commandStart } from "./command-start.ts";
import type { Remedy } from "./remedy.ts";

/** node-gyp runs the compiler in build/, and names the system's headers by the way from there: as deep as the build path is. */
const FLAG = "-ffile-prefix-map=$(realpath -m --relative-to=build /)/usr=/usr";

export const prefixMapGyp: Remedy = {
  name: "prefix-map-gyp",
  causes: ["path"],
  intrusion: "recipe",
  says: "native addons name the system's headers from the root on, not from the build path: CXXFLAGS with -ffile-prefix-map=../../…/usr=/usr",
  propose: (project) =>
    [...project.files.keys()].some((path) => /(?:^|\/)binding\.gyp$/.test(path))
      ? commandStart(project, `export CFLAGS="\${CFLAGS:-} ${FLAG}" CXXFLAGS="\${CXXFLAGS:-} ${FLAG}"`)
      : [],
};
