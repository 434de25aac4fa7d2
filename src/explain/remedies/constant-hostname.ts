import { constantEdits } from "./constants.ts";
import type { Remedy } from "./remedy.ts";

export const constantHostname: Remedy = {
  name: "constant-hostname",
  causes: ["hostname"],
  intrusion: "patch",
  says: "the name of the machine is left out: localhost stands there instead",
  propose: (project) =>
    constantEdits(project, {
      commands: [
        [/^hostname(?: -[sfid]+)?$/, "echo localhost"],
        [/^uname (?:-n|--nodename)$/, "echo localhost"],
        [/^uname (?:-a|--all)$/, "uname -s"],
        [/^cat \/(?:etc|proc\/sys\/kernel)\/hostname$/, "echo localhost"],
      ],
      variables: [
        ["HOSTNAME", "localhost"],
        ["HOST", "localhost"],
      ],
      code: {
        python: [
          [/(?<![\w.])(?:socket\.(?:gethostname|getfqdn)|platform\.node)\(/, '"localhost"'],
          [/(?<![\w.])os\.uname\(\)(?:\.nodename|\[1\])/, '"localhost"'],
        ],
        javascript: [
          [
            /(?<![\w.])(?:os\.)?hostname\(/,
            ({ code, start, inside, quote }) =>
              inside === "" && !/(?:function|\.)\s*$/.test(code.bare.slice(0, start))
                ? `${quote}localhost${quote}`
                : undefined,
          ],
        ],
        perl: [[/(?<![\w$@%&>-])hostname\(\)/, '"localhost"']],
        go: [[/(?<![\w.])os\.Hostname\(/, 'func() (string, error) { return "localhost", nil }()']],
        java: [
          [
            /(?<![\w.])(?:java\.net\.)?InetAddress\.getLocalHost\(\)\.(?:getHostName|getCanonicalHostName)\(/,
            '"localhost"',
          ],
        ],
      },
    }),
};
