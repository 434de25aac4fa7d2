import { constantEdits } from "./constants.ts";
import type { Remedy } from "./remedy.ts";

export const constantCpuCount: Remedy = {
  name: "constant-cpu-count",
  causes: ["cpu-count"],
  intrusion: "patch",
  says: "what is made does not depend on how many CPUs there are: a constant stands there instead",
  propose: (project) =>
    constantEdits(project, {
      commands: [
        [/^nproc(?: --all)?$/, "echo 4"],
        [/^getconf _?NPROCESSORS_(?:ONLN|CONF)$/, "echo 4"],
      ],
      code: {
        python: [
          [/(?<![\w.])(?:os|multiprocessing)\.(?:cpu_count|process_cpu_count)\(/, "4"],
          [/(?<![\w.])len\(os\.sched_getaffinity\(0\)\)/, "4"],
        ],
        javascript: [[/(?<![\w.])os\.cpus\(\)\.length\b|(?<![\w.])os\.availableParallelism\(/, "4"]],
        go: [[/(?<![\w.])runtime\.(?:NumCPU|GOMAXPROCS)\(/, "4"]],
        java: [[/(?<![\w.])Runtime\.getRuntime\(\)\.availableProcessors\(/, "4"]],
        rust: [[/(?<![\w.])(?:num_cpus::get|num_cpus::get_physical)\(/, "4usize"]],
      },
    }),
};
