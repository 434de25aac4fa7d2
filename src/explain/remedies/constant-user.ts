import { constantEdits } from "./constants.ts";
import type { Remedy } from "./remedy.ts";

export const constantUser: Remedy = {
  name: "constant-user",
  causes: ["user"],
  intrusion: "patch",
  says: "who builds is left out: nobody stands there instead",
  propose: (project) =>
    constantEdits(project, {
      commands: [
        [/^(?:whoami|logname)$/, "echo nobody"],
        [/^id (?:-un|-nu|-u -n|-n -u|-gn|-ng)$/, "echo nobody"],
        [/^id (?:-u|-g)$/, "echo 0"],
        [/^id$/, "echo nobody"],
      ],
      variables: [
        ["USER", "nobody"],
        ["LOGNAME", "nobody"],
        ["UID", "0"],
      ],
      code: {
        python: [
          [/(?<![\w.])(?:getpass\.getuser|os\.getlogin)\(/, '"nobody"'],
          [/(?<![\w.])os\.gete?[ug]id\(/, "0"],
          [
            /(?<![\w.])os\.environ\.get\(/,
            ({ inside, quote }) => (/^["'](?:USER|LOGNAME)["']/.test(inside) ? `${quote}nobody${quote}` : undefined),
          ],
          [
            /(?<![\w.])os\.environ\[["']\s+["']\]/,
            ({ code, start, end, quote }) =>
              /["'](?:USER|LOGNAME)["']/.test(code.text.slice(start, end)) ? `${quote}nobody${quote}` : undefined,
          ],
        ],
        javascript: [
          [/(?<![\w.])(?:os\.)?userInfo\(\)\.username\b/, '"nobody"'],
          [/(?<![\w.])process\.env\.(?:USER|LOGNAME|USERNAME)\b/, '"nobody"'],
          [/(?<![\w.])process\.get[ug]id\(/, "0"],
        ],
        java: [
          [
            /(?<![\w.])System\.getProperty\((?="\s{9}"\))/,
            ({ inside }) => (inside === '"user.name"' ? '"nobody"' : undefined),
          ],
        ],
      },
    }),
};
