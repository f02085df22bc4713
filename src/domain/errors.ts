/**
 * Errors that a caller may be told of. `code` is a stable snake_case word, `message` is safe to show;
 * whatever is internal travels in `cause` and is only ever logged.
 */
export class ArtelError extends Error {
  override readonly name: string = "ArtelError";
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** One reason why an input was refused; `path` is a JSON Pointer into it ("" is the input itself). */
export interface InputProblem {
  readonly path: string;
  readonly message: string;
}

/** The caller's input is wrong, and stays wrong however often it is sent. */
export class InvalidInput extends ArtelError {
  override readonly name = "InvalidInput";
  readonly problems: readonly InputProblem[];

  constructor(code: string, message: string, problems: readonly InputProblem[] = []) {
    super(code, message);
    this.problems = problems;
  }
}

/** There is no such thing, or it is somebody else's: the caller cannot tell which. */
export class NotFound extends ArtelError {
  override readonly name = "NotFound";
}

/** The thing is not in a state that allows this. */
export class Conflict extends ArtelError {
  override readonly name = "Conflict";
}

/** No credentials, or bad ones. */
export class Unauthorized extends ArtelError {
  override readonly name = "Unauthorized";
}

/** Known, but not allowed. */
export class Forbidden extends ArtelError {
  override readonly name = "Forbidden";
}

/** Too much for now; worth another try after `retryAfterMs`. */
export class TooMany extends ArtelError {
  override readonly name = "TooMany";
  readonly retryAfterMs: number;

  constructor(code: string, message: string, retryAfterMs: number) {
    super(code, message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The service cannot do it now (no disk, shutting down); nothing was stored. */
export class Unavailable extends ArtelError {
  override readonly name = "Unavailable";
}

/** The process cannot start or go on as asked; shown as one line, exit code 1. */
export class StartupError extends ArtelError {
  override readonly name = "StartupError";
}
