import type { Remedy } from "./remedy.ts";

export const gradleArchives: Remedy = {
  name: "gradle-archives",
  causes: ["mtime", "clock", "timezone", "readdir-order", "umask"],
  intrusion: "flag",
  says: "Gradle packs reproducibly: preserveFileTimestamps = false, reproducibleFileOrder = true",
  propose: ({ scripts, files }) =>
    scripts
      .filter((path) => /(?:^|\/)build\.gradle(?:\.kts)?$/.test(path))
      .flatMap((path) => {
        const text = files.get(path) ?? "";
        if (text.includes("preserveFileTimestamps")) return [];
        const [open, is] = path.endsWith(".kts")
          ? ["tasks.withType<AbstractArchiveTask>().configureEach {", "isP"]
          : ["tasks.withType(AbstractArchiveTask).configureEach {", "p"];
        const order = path.endsWith(".kts") ? "isReproducibleFileOrder" : "reproducibleFileOrder";
        const block = `\n${open}\n    ${is}reserveFileTimestamps = false\n    ${order} = true\n}\n`;
        const end = text.endsWith("\n") ? "" : "\n";
        return [{ kind: "text", path, offset: text.length, before: "", after: `${end}${block}` } as const];
      }),
};
