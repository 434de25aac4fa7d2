import type { Remedy } from "./remedy.ts";

/** 1980-02-01, the earliest that the plugins take for every archive. */
const TIME = "1980-02-01T00:00:00Z";
const PROPERTY = "project.build.outputTimestamp";

export const mavenTimestamp: Remedy = {
  name: "maven-timestamp",
  causes: ["mtime", "clock", "timezone", "readdir-order", "umask", "user"],
  intrusion: "flag",
  says: "Maven's plugins pack reproducibly: project.build.outputTimestamp in pom.xml",
  propose: ({ scripts, files }) =>
    scripts
      .filter((path) => path === "pom.xml" || path.endsWith("/pom.xml"))
      .flatMap((path) => {
        const text = files.get(path) ?? "";
        if (text.includes(PROPERTY) || /<parent>[^]*<relativePath>/.test(text)) return [];
        const open = /^([ \t]*)<properties>[ \t]*\n?/m.exec(text);
        const [indent = "  "] = /^[ \t]+(?=<modelVersion>)/m.exec(text) ?? [];
        const line = `<${PROPERTY}>${TIME}</${PROPERTY}>`;
        if (open !== null) {
          const offset = open.index + open[0].length;
          return [{ kind: "text", path, offset, before: "", after: `${open[1] ?? ""}${indent}${line}\n` } as const];
        }
        const after = /<\/version>[ \t]*\n/.exec(
          text.replace(/<parent>[^]*?<\/parent>/, (part) => " ".repeat(part.length)),
        );
        if (after === null) return [];
        const offset = after.index + after[0].length;
        const block = `${indent}<properties>\n${indent}${indent}${line}\n${indent}</properties>\n`;
        return [{ kind: "text", path, offset, before: "", after: block } as const];
      }),
};
