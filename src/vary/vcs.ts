import { STRANGE_COMMIT } from "../source/repository.ts";
import { textWatermarks } from "./encodings.ts";
import { against, type Variation, withField } from "./variation.ts";

const shown = (state: "repository" | undefined): string => state ?? "none";

/** What version control says about the source: nothing in the canonical world, which builds from a plain tree. */
export const vcs: Variation = {
  name: "vcs",
  optional: true,
  how: "A git repository of one commit lies at the build path, with author, tag and branch that occur nowhere. A project may mean to read it, so it must be asked for.",
  shows: "The commit's hash, whole or its first seven digits; tag, branch, author: raw, UTF-16, hexadecimal, base64.",
  beyond: "Other systems than git; a shallow clone, a dirty tree, submodules.",
  describe: (a, b) => against("version control", shown(a.vcs), shown(b.vcs)),
  take: (world, other) => withField(withField(world, other, "vcs"), other, "commit"),
  watermarks: ({ vcs, commit }) => {
    if (vcs === undefined) return [];
    const { author, email, message, tag, branch } = STRANGE_COMMIT;
    return [
      ...[author, email, message, tag, branch].flatMap((text) => textWatermarks("vcs", "version control", text)),
      ...(commit === undefined
        ? []
        : [
            ...textWatermarks("vcs", "commit", commit),
            ...textWatermarks("vcs", "commit", commit.slice(0, 7), "likely"),
          ]),
    ];
  },
  remedy:
    "do not ask version control during the build (go build -buildvcs=false, no git describe): write the version into the source, or take it from the recipe",
};
