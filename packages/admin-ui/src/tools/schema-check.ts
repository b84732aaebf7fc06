/**
 * What the form library asks about a value: which of several alternatives it fits. Answered by an interpreter: the usual
 * validators make code out of a schema, which the page's policy forbids. Errors are not its business: Core gives them.
 */
import { Validator } from "@cfworker/json-schema";
import type { ErrorSchema, RJSFSchema, ValidatorType } from "@rjsf/utils";

export const schemaCheck: ValidatorType = {
  isValid(schema: RJSFSchema, value: unknown, root: RJSFSchema): boolean {
    try {
      return new Validator(withDefinitions(schema, root), "2020-12").validate(value ?? null).valid;
    } catch {
      return false;
    }
  },
  validateFormData: () => ({ errors: [], errorSchema: {} as ErrorSchema }),
  rawValidation: () => ({ errors: [] }),
};

/** A part of a schema that can be checked by itself: with what its references lead to. */
export function withDefinitions(schema: RJSFSchema, { $defs, definitions }: RJSFSchema): object {
  return withoutIds({ ...schema, ...($defs && { $defs }), ...(definitions && { definitions }) });
}

/** The ids of form-schema.ts name a field, not a schema: two of them alike would be an error. */
function withoutIds(schema: object): object {
  return JSON.parse(JSON.stringify(schema, (key, value: unknown) => (key === "$id" ? undefined : value))) as object;
}
