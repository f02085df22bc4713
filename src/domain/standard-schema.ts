/**
 * Standard Schema, version 1 (https://standardschema.dev): what schema libraries such as zod, valibot and arktype have in
 * common. Written out here, so that the types of "artel" need no package.
 */

/** A schema of any library that follows it. `Input` is what it takes, `Output` what it makes of that. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": StandardProps<Input, Output>;
}

export interface StandardProps<Input, Output> {
  readonly version: 1;
  /** The library. */
  readonly vendor: string;
  /** Checks a value and transforms it; may throw where its code does. */
  validate(value: unknown): StandardResult<Output> | Promise<StandardResult<Output>>;
  /** For the type checker alone. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A library's schema is an object or, with arktype, a function. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const props = (value as Partial<StandardSchema>)["~standard"];
  return props?.version === 1 && typeof props.validate === "function";
}
