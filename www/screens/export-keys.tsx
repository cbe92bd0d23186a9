// The keys that the list finds, as a file. Never their text: nobody has that.

import { useState } from "preact/hooks";

import { number, plural } from "../format.tsx";
import type { KeyFilter } from "../queries.ts";
import { saveExport } from "../save.ts";
import { ask } from "../ui/dialog.tsx";
import { SelectField } from "../ui/form.tsx";

/** Asks for the format, and saves the file. Whoever closes the dialog meanwhile wants it no longer. */
export async function exportKeys({ cursor: _, ...filter }: KeyFilter, total: number) {
  let show = (_: number) => {};
  let isWanted = true;
  const Progress = () => {
    const [lines, setLines] = useState(0);
    show = setLines;
    return (
      <p class="hint" role="status">
        {lines > 0 && `${number(lines)} of ${number(total)} read`}
      </p>
    );
  };
  await ask({
    title: `Export ${plural(total, "key")}`,
    submit: "Export",
    onSubmit: (values) =>
      saveExport("/api-keys/export", { ...filter, format: values("format") }, (lines) => {
        show(lines);
        return isWanted;
      }),
    body: (
      <>
        <p>All keys that match the filters, in the order of the list. The file does not contain the keys’ secrets.</p>
        <SelectField
          name="format"
          label="Format"
          options={[
            ["csv", "CSV, for spreadsheets"],
            ["json", "JSON, a key a line"],
          ]}
        />
        <Progress />
      </>
    ),
  });
  isWanted = false;
}
