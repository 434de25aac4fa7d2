import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { argumentsOf, shellTexts, withFlags } from "./shell-texts.ts";

const isDockerfile = (path: string): boolean => /(?:^|\/)(?:Dockerfile|Containerfile)[^/]*$/.test(path);

export const dockerImage: Remedy = {
  name: "docker-image",
  causes: ["clock", "mtime", "archive-metadata", "random"],
  intrusion: "patch",
  says: "the image takes SOURCE_DATE_EPOCH as an argument and keeps no apt lists, logs or bytecode",
  propose(project) {
    const declared = project.scripts.filter(isDockerfile).flatMap((path): TextEdit[] => {
      const text = project.files.get(path) ?? "";
      if (/^\s*ARG\s+SOURCE_DATE_EPOCH/im.test(text)) return [];
      return [...text.matchAll(/^[ \t]*FROM[^\n]*\n/gim)].map((match) => ({
        kind: "text",
        path,
        offset: match.index + match[0].length,
        before: "",
        after: "ARG SOURCE_DATE_EPOCH\n",
      }));
    });
    const runs = shellTexts(project).filter(({ path }) => path !== undefined && isDockerfile(path));
    const cleaned = runs.flatMap((text) =>
      text.commands.flatMap((command): TextEdit[] => {
        const given = argumentsOf(command);
        if (/^pip[0-9.]*$/.test(command.name) && given[0] === "install") {
          return withFlags(command, text, ["--no-compile", "--no-cache-dir"], 1);
        }
        if (!/^apt(?:-get)?$/.test(command.name) || !given.includes("install")) return [];
        if (text.text.includes("/var/lib/apt/lists")) return [];
        return [text.replace(text.text.trimEnd().length, text.text.trimEnd().length, CLEAN)];
      }),
    );
    return [...declared, ...cleaned];
  },
};

const CLEAN = " && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache";
