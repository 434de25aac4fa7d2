import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

export const perlOrder: Remedy = {
  name: "perl-order",
  causes: ["readdir-order", "hash-order"],
  intrusion: "patch",
  says: "Perl sorts keys of hashes and what it reads from folders: sort keys %…, sort readdir(…)",
  propose: (project) =>
    codeEdits(
      project,
      "perl",
      /(?<![\w$@%&>-])(?:keys\s*\(?\s*[%$@]|readdir\s*\(|readdir\s+\w)/,
      ({ code, start, match }) => {
        const before = code.bare.slice(0, start);
        if (/\b(?:sort(?:\s*\{[^}]*\})?|scalar|each|while\s*\([^)]*=)\s*\(?\s*$/.test(before)) return undefined;
        if (!/(?:[(,=]|\b(?:foreach|for|map|grep|return|join)\b[^;]*)\s*$/.test(before)) return undefined;
        const end = start + match[0].length;
        return match[0].endsWith("(") ? undefined : `sort ${code.text.slice(start, end)}`;
      },
    ),
};
