/** What the form library asks a validator: which of several shapes a value has. The complaints are ours, given to it. */
import { Validator } from "@cfworker/json-schema";
import type { RJSFSchema, ValidatorType } from "@rjsf/utils";

import type { JsonObject } from "./json";

export const validator: ValidatorType<JsonObject> = {
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  rawValidation: () => ({ errors: [] }),
  isValid(schema: RJSFSchema, formData, rootSchema: RJSFSchema) {
    try {
      // The part's references point into the whole.
      const whole = { $defs: rootSchema.$defs, definitions: rootSchema.definitions, ...schema };
      return new Validator(whole as JsonObject, "2020-12").validate(formData).valid;
    } catch {
      return false;
    }
  },
};
