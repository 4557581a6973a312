/** What belongs to the run as a whole: its input, output, metadata, what it says of itself, the log of all its tasks, and its history. */
import { isTerminal } from "../../services/runs";
import type { RunDetails } from "../../services/schemas";
import { errorSummary } from "../errorSummary";
import { EventTimeline } from "../EventTimeline";
import { JsonViewer } from "../JsonViewer";
import { LogView } from "../LogView";
import { STATUS_LOOKS } from "../status";
import { Card, CardHeader } from "../ui/card";
import { cn } from "../ui/classes";
import { Tabs, type Tab } from "../ui/tabs";
import { RunValues } from "./RunValues";

type TabId = "input" | "output" | "metadata" | "values" | "logs" | "events";

export function RunData({
  tenantId,
  details,
  nameOf,
  hasEngine,
  tab: asked,
  onTab,
}: {
  tenantId: string;
  details: RunDetails;
  nameOf: (taskId: string) => string;
  hasEngine: boolean;
  tab: string | null;
  onTab: (tab: string) => void;
}) {
  const { run } = details;
  const hidden = "You are not allowed to see the payloads of this tenant.";
  const tabs: readonly Tab<TabId>[] = [
    { id: "input", label: "Input" },
    { id: "output", label: "Output" },
    { id: "metadata", label: "Metadata", badge: Object.keys(run.additionalMetadata).length },
    // A saved run has none: they are what it says while it goes on.
    ...(hasEngine ? [{ id: "values" as const, label: "Values" }] : []),
    { id: "logs", label: "Logs" },
    { id: "events", label: "Events", badge: details.taskEvents.length },
  ];
  const tab = tabs.find((item) => item.id === asked)?.id ?? "input";
  return (
    <Card aria-label="Run data">
      <CardHeader title="Run" />
      {run.errorMessage !== null && run.errorMessage !== "" && (
        <p
          title={run.errorMessage}
          className={cn(
            "line-clamp-4 border-b border-line px-4 py-2 font-mono text-xs break-words",
            // Of a cancelled run this is the reason, which is no error.
            run.status === "CANCELLED" ? STATUS_LOOKS.CANCELLED.pill : STATUS_LOOKS.FAILED.pill,
          )}
        >
          {errorSummary(run.errorMessage)}
        </p>
      )}
      <Tabs label="Run data" tabs={tabs} chosen={tab} onChoose={onTab}>
        {tab === "input" && (
          <JsonViewer label="Run input" value={run.input} empty={run.payloadsRestricted ? hidden : "This run was given no input."} />
        )}
        {tab === "output" && (
          <JsonViewer
            label="Run output"
            value={run.output}
            empty={run.payloadsRestricted ? hidden : isTerminal(run.status) ? "This run has no output." : "Nothing yet."}
          />
        )}
        {tab === "metadata" && (
          <JsonViewer label="Run metadata" value={run.additionalMetadata} empty="This run carries no metadata." />
        )}
        {tab === "values" && <RunValues tenantId={tenantId} runId={run.metadata.id} />}
        {tab === "logs" && (
          <LogView tenantId={tenantId} taskIds={details.tasks.map((task) => task.taskExternalId)} nameOf={nameOf} />
        )}
        {tab === "events" && <EventTimeline events={details.taskEvents} nameOf={nameOf} />}
      </Tabs>
    </Card>
  );
}
