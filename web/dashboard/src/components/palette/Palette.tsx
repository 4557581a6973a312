/** The command palette: go to a page, a workflow, a worker or a run by its id, start a workflow, change how it looks. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { useDeferredValue, useState, type ReactNode } from "react";

import { rowsIn } from "../../services/pages";
import { workersQuery } from "../../services/workers";
import { workflowPagesQuery } from "../../services/workflows";
import { chooseTheme, THEMES } from "../../theme";
import { chooseZone } from "../../time/zone";
import { useMay } from "../may";
import { StartDialog } from "../StartDialog";
import { Dialog } from "../ui/dialog";
import type { PageEntry } from "./Shortcuts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const WORKERS_MAX = 20;

export function Palette({
  tenantId,
  pages,
  onClose,
  onKeys,
}: {
  tenantId: string;
  pages: readonly PageEntry[];
  onClose: () => void;
  onKeys: () => void;
}) {
  const navigate = useNavigate();
  const may = useMay();
  const [text, setText] = useState("");
  const [isStarting, setIsStarting] = useState(false);
  const [starts, setStarts] = useState<{ id: string; name: string } | null>(null);
  const asked = useDeferredValue(text.trim());
  const workflows = useInfiniteQuery(workflowPagesQuery(tenantId, asked));
  const workers = useQuery(workersQuery(tenantId));
  const found = workflows.data === undefined ? [] : rowsIn(workflows.data);

  function go(to: string): void {
    onClose();
    void navigate({ to });
  }
  function act(what: () => void): () => void {
    return () => {
      onClose();
      what();
    };
  }

  if (starts !== null) return <StartDialog tenantId={tenantId} workflow={starts} onClose={onClose} />;
  return (
    <Dialog title={isStarting ? "Start which workflow?" : "Search and commands"} onClose={onClose} wide>
      <Command label={isStarting ? "Workflows" : "Commands"} loop>
        <Command.Input
          value={text}
          onValueChange={setText}
          placeholder={isStarting ? "Name of a workflow" : "Page, workflow, worker, id of a run, or a command"}
          className="mb-2 h-9 w-full rounded-md border border-line bg-card px-2.5 text-sm text-ink"
        />
        <Command.List className="max-h-[60vh] overflow-auto" aria-label="Found">
          <Command.Empty className="px-2 py-4 text-sm text-ink-soft">
            {workflows.isFetching ? "Looking…" : "Nothing is called that."}
          </Command.Empty>
          {!isStarting && UUID.test(asked) && (
            <Group heading="Run">
              <Item value={`run ${asked}`} onSelect={() => go(`/runs/${asked}`)}>
                Open the run {asked}
              </Item>
            </Group>
          )}
          {!isStarting && (
            <Group heading="Pages">
              {pages.map((page) => (
                <Item key={page.to} value={`page ${page.label}`} onSelect={() => go(page.to)}>
                  {page.label}
                </Item>
              ))}
            </Group>
          )}
          {!isStarting && (
            <Group heading="Do">
              {may("trigger") && (
                <Item
                  value="start run a workflow"
                  onSelect={() => {
                    setIsStarting(true);
                    setText("");
                  }}
                >
                  Start a workflow…
                </Item>
              )}
              {may("createToken") && (
                <Item value="new api token create" onSelect={() => go("/settings/tokens")}>
                  New API token
                </Item>
              )}
              {THEMES.map((theme) => (
                <Item key={theme} value={`theme ${theme}`} onSelect={act(() => chooseTheme(theme))}>
                  Theme: {theme === "system" ? "as the system" : theme}
                </Item>
              ))}
              <Item value="times in utc time zone" onSelect={act(() => chooseZone("UTC"))}>
                Times in UTC
              </Item>
              <Item value="times local time zone" onSelect={act(() => chooseZone("local"))}>
                Times in the local zone
              </Item>
              <Item value="keys keyboard shortcuts help" onSelect={onKeys}>
                Keys
              </Item>
            </Group>
          )}
          <Group heading="Workflows">
            {found.map((workflow) => (
              <Item
                key={workflow.metadata.id}
                value={`workflow ${workflow.name} ${workflow.metadata.id}`}
                onSelect={() =>
                  isStarting ? setStarts({ id: workflow.metadata.id, name: workflow.name }) : go(`/workflows/${workflow.metadata.id}`)
                }
              >
                {workflow.name}
              </Item>
            ))}
          </Group>
          {!isStarting && (
            <Group heading="Workers">
              {(workers.data ?? []).slice(0, WORKERS_MAX).map((worker) => (
                <Item key={worker.metadata.id} value={`worker ${worker.name} ${worker.metadata.id}`} onSelect={() => go(`/workers/${worker.metadata.id}`)}>
                  {worker.name}
                </Item>
              ))}
            </Group>
          )}
        </Command.List>
      </Command>
    </Dialog>
  );
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group heading={heading} className="mb-1 text-xs text-ink-soft [&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1">
      {children}
    </Command.Group>
  );
}

function Item({ value, onSelect, children }: { value: string; onSelect: () => void; children: ReactNode }) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="cursor-pointer rounded-md px-2 py-1.5 text-sm text-ink aria-selected:bg-accent-soft aria-selected:font-medium"
    >
      {children}
    </Command.Item>
  );
}
