import TextWidget from "@rjsf/core/lib/components/widgets/TextWidget.js";
import type { WidgetProps } from "@rjsf/utils";
import { isLongText } from "./form-schema.ts";

const MOST_ROWS = 14;
const DOCUMENT_ROWS = 5;

/** A text of the form: on one line where it is short, else on as many as it has. */
export function TextInput(props: WidgetProps) {
  const { id, htmlName, schema, value, options, required, disabled, readonly, onChange } = props;
  if (!isLongText(schema, value)) return <TextWidget {...props} />;
  const text = typeof value === "string" ? value : "";
  const least = schema.contentMediaType === undefined ? 1 : DOCUMENT_ROWS;
  return (
    <textarea
      id={id}
      name={htmlName ?? id}
      className={least > 1 ? "form-control form-lines form-document" : "form-control form-lines"}
      rows={Math.min(MOST_ROWS, Math.max(least, text.split("\n").length))}
      value={text}
      required={required ?? false}
      disabled={disabled ?? false}
      readOnly={readonly ?? false}
      spellCheck={false}
      aria-describedby={`${id}__error ${id}__description ${id}__help`}
      onChange={({ target }) => onChange(target.value === "" ? options.emptyValue : target.value)}
    />
  );
}
