/** Its path, or why it could not be had: a reason that begins "cosign could not be had". */
export declare function cosign():
  | {
      path: string;
    }
  | {
      skip: string;
    };
