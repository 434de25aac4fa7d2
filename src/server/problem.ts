import { STATUS_CODES } from "node:http";

/** RFC 9457 "Problem Details for HTTP APIs", with what a person can do about it as `hint`. */
export interface Problem {
  /** Always "about:blank": the status says what kind it is (RFC 9457, section 4.2.1). */
  type: "about:blank";
  title: string;
  status: number;
  detail: string;
  hint: string;
}

export const PROBLEM_TYPE = "application/problem+json";

export function problemOf(status: number, detail: string, hint: string): Problem {
  return { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail, hint };
}
