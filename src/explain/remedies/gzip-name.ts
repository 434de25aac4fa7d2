import type { Remedy } from "./remedy.ts";
import { argumentsOf, commandEdits, withFlags } from "./shell-texts.ts";

export const gzipName: Remedy = {
  name: "gzip-n",
  causes: ["mtime", "clock", "archive-metadata"],
  intrusion: "flag",
  says: "gzip stores neither name nor time: gzip -n",
  propose: (project) =>
    commandEdits(project, ["gzip", "pigz"], (command, text) => {
      const given = argumentsOf(command);
      const has = given.some((word) => /^-[A-Za-z0-9]*[nd]/.test(word) || /^--(?:no-name|decompress)$/.test(word));
      return has ? [] : withFlags(command, text, ["-n"]);
    }),
};
