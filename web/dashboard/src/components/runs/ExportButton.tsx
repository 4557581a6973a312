/** The list as a file, read to its end; says how far it has come and can be stopped. */
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";

import { EXPORTED_MAX, exportRuns, type ExportChoice } from "../../services/runExport";
import type { RunListing } from "../../services/runSearch";
import { saveFile } from "../saveFile";
import { Button } from "../ui/button";
import { Actions, Dialog } from "../ui/dialog";
import { Field, Select } from "../ui/field";

export function ExportButton({ tenantId, listing }: { tenantId: string; listing: RunListing }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <Button size="small" onClick={() => setIsOpen(true)}>
        Export…
      </Button>
      {isOpen && <ExportDialog tenantId={tenantId} listing={listing} onClose={() => setIsOpen(false)} />}
    </>
  );
}

function ExportDialog({ tenantId, listing, onClose }: { tenantId: string; listing: RunListing; onClose: () => void }) {
  const [format, setFormat] = useState<ExportChoice["format"]>("csv");
  const [withPayloads, setWithPayloads] = useState(false);
  const [read, setRead] = useState(0);
  const stop = useRef<AbortController>(null);
  const exporting = useMutation({
    mutationFn: async () => {
      const controller = new AbortController();
      stop.current = controller;
      setRead(0);
      const done = await exportRuns(tenantId, listing, { format, withPayloads }, setRead, controller.signal);
      saveFile(`runs-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${format}`, done.type, done.text);
      return done;
    },
  });

  function close(): void {
    stop.current?.abort();
    onClose();
  }

  return (
    <Dialog title="Export what the list shows" onClose={close}>
      <p className="mb-3 text-sm text-ink-soft">
        Every {listing.ofTasks ? "task" : "run"} that matches the search and the time range, at most {EXPORTED_MAX.toLocaleString()}, as one file.
      </p>
      <Field label="Format">
        {(props) => (
          <Select {...props} value={format} disabled={exporting.isPending} onChange={(event) => setFormat(event.target.value === "json" ? "json" : "csv")}>
            <option value="csv">CSV, a column for each key of metadata</option>
            <option value="json">JSON</option>
          </Select>
        )}
      </Field>
      <label className="flex items-center gap-2 text-sm">
        <input type="checkbox" checked={withPayloads} disabled={exporting.isPending} onChange={(event) => setWithPayloads(event.target.checked)} />
        With input and output (slower)
      </label>
      <p role="status" className="mt-3 min-h-5 text-sm text-ink-soft">
        {exporting.isPending && `${read.toLocaleString()} read…`}
        {exporting.isSuccess &&
          `${exporting.data.count.toLocaleString()} exported${exporting.data.isCut ? "; there are more: narrow the search or the time range for the others" : ""}.`}
      </p>
      {exporting.error !== null && (
        <p role="alert" className="mt-1 text-sm text-failed">
          {exporting.error.message} Nothing was saved.
        </p>
      )}
      <Actions>
        <Button onClick={close}>{exporting.isPending ? "Stop" : "Close"}</Button>
        <Button variant="primary" disabled={exporting.isPending} onClick={() => exporting.mutate()}>
          {exporting.isPending ? "Exporting…" : "Export"}
        </Button>
      </Actions>
    </Dialog>
  );
}
