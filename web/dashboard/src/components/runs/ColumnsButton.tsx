/** Which columns the list has; a key of metadata may have one of its own. */
import { useState } from "react";

import { Button } from "../ui/button";
import { Actions, Dialog } from "../ui/dialog";
import { COLUMN_CHOICES, metadataColumn, USUAL_COLUMNS } from "./columns";

export function ColumnsButton({
  chosen,
  metadataKeys,
  onChange,
}: {
  chosen: readonly string[];
  /** Those that were seen in the list. */
  metadataKeys: readonly string[];
  onChange: (columns: readonly string[]) => void;
}) {
  const [isOpen, setIsOpen] = useState(false);
  const ofMetadata = [...new Set([...metadataKeys.map(metadataColumn), ...chosen.filter((id) => id.startsWith(metadataColumn("")))])];
  const choices = [...COLUMN_CHOICES, ...ofMetadata.map((id) => ({ id, title: id.slice(metadataColumn("").length) }))];
  return (
    <>
      <Button size="small" onClick={() => setIsOpen(true)}>
        Columns…
      </Button>
      {isOpen && (
        <Dialog title="Columns" onClose={() => setIsOpen(false)}>
          <p className="mb-3 text-sm text-ink-soft">This browser remembers them. Keys of metadata are those in the rows shown.</p>
          <ul className="grid gap-1 text-sm sm:grid-cols-2">
            {choices.map(({ id, title }) => (
              <li key={id}>
                <label className="flex items-center gap-2 py-0.5 break-all">
                  <input
                    type="checkbox"
                    checked={chosen.includes(id)}
                    onChange={(event) => onChange(event.target.checked ? [...chosen, id] : chosen.filter((other) => other !== id))}
                  />
                  {title}
                </label>
              </li>
            ))}
          </ul>
          <Actions>
            <Button onClick={() => onChange(USUAL_COLUMNS)}>The usual ones</Button>
            <Button variant="primary" onClick={() => setIsOpen(false)}>
              Done
            </Button>
          </Actions>
        </Dialog>
      )}
    </>
  );
}
