import { canonical } from "../../domain/unique.ts";
import type { Schema } from "./schemas.ts";

/** The parts of an OpenAPI document that are worked on here. */

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description?: string;
  readonly required?: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

interface Media {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>;
}

type Content = Readonly<Record<string, Media>>;

interface Header {
  readonly description?: string;
  readonly schema: Schema;
}

export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, Header>>;
  readonly content?: Content;
}

export interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Answer>>;
}

/** Operations by path and method. */
export type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

export function mapPaths(paths: Paths, change: (operation: Operation, path: string, method: string) => Operation): Paths {
  return mapValues(paths, (methods, path) => mapValues(methods, (operation, method) => change(operation, path, method)));
}

export function mapValues<From, To>(
  from: Readonly<Record<string, From>>,
  change: (value: From, key: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(from).map(([key, value]) => [key, change(value, key)]));
}

/** The operation with each of its schemas changed. */
export function mapSchemas(operation: Operation, change: (schema: Schema) => Schema): Operation {
  const { parameters, requestBody, responses } = operation;
  const inContent = (content: Content): Content =>
    mapValues(content, (media) => (media.schema ? { ...media, schema: change(media.schema) } : media));
  return {
    ...operation,
    ...(parameters && { parameters: parameters.map((each) => ({ ...each, schema: change(each.schema) })) }),
    ...(requestBody && { requestBody: { ...requestBody, content: inContent(requestBody.content) } }),
    responses: mapValues(responses, ({ headers, content, ...answer }) => ({
      ...answer,
      ...(headers && { headers: mapValues(headers, (header) => ({ ...header, schema: change(header.schema) })) }),
      ...(content && { content: inContent(content) }),
    })),
  };
}

/**
 * Moves parameters and error answers that stand in several operations to `components`.
 *
 * @param nameOf the name of an error answer by its status
 */
export function shareRepeated(paths: Paths, nameOf: (status: string) => string) {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const parameters = shelf(
    "parameters",
    operations.flatMap((operation) => (operation.parameters ?? []).map((each) => [each.name, each] as const)),
  );
  const errors = shelf(
    "responses",
    operations.flatMap(({ responses }) =>
      Object.entries(responses)
        .filter(isError)
        .map(([status, each]) => [nameOf(status), each] as const),
    ),
  );
  const shared = mapPaths(paths, (operation) => ({
    ...operation,
    ...(operation.parameters && { parameters: operation.parameters.map(parameters.refer) }),
    responses: mapValues(operation.responses, errors.refer),
  }));
  return { paths: shared, components: { parameters: parameters.components, responses: errors.components } };
}

const isError = ([status]: readonly [status: string, answer: Answer]): boolean => status >= "400";

/** Of equal objects one for all; of different ones that want one name the first has it, and the others stay where they are. */
function shelf<T>(kind: string, uses: readonly (readonly [name: string, value: T])[]) {
  const names = new Map<string, string>();
  const components: Record<string, T> = {};
  for (const [key, [first, ...others]] of Map.groupBy(uses, ([, value]) => canonical(value))) {
    if (first === undefined || others.length === 0 || first[0] in components) continue;
    names.set(key, first[0]);
    components[first[0]] = first[1];
  }
  const refer = (value: T): T => {
    const name = names.get(canonical(value));
    // A reference may stand wherever the object may.
    return name === undefined ? value : ({ $ref: `#/components/${kind}/${name}` } as T);
  };
  return { components, refer };
}
