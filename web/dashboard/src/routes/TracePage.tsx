import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";

import { ErrorNotice, Loading, Notice, StaleBanner } from "../components/Notice";
import { PageHeader } from "../components/PageHeader";
import { SpanWaterfall } from "../components/SpanWaterfall";
import { isNotFound } from "../services/http";
import { traceQuery } from "../services/traces";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/traces/$id");

export function TracePage() {
  const { tenant } = useSession();
  const { id } = route.useParams();
  const trace = useQuery(traceQuery(tenant.id, id));
  const first = trace.data?.find((span) => span.parentSpanId === null) ?? trace.data?.[0];
  useTitle(first?.spanName ?? "Trace");
  if (trace.data === undefined) {
    if (trace.error === null) return <Loading label="Loading the trace…" />;
    if (isNotFound(trace.error)) {
      return <Notice level="h1" title="There is no such trace" action={<Link to="/traces" className="text-accent underline">Go to the traces</Link>} />;
    }
    return <ErrorNotice error={trace.error} onRetry={() => void trace.refetch()} />;
  }
  const runId = trace.data.map((span) => span.spanAttributes["hatchet.workflow_run_id"]).find((found) => found !== undefined);
  return (
    <div className="space-y-4">
      {trace.error !== null && <StaleBanner error={trace.error} />}
      <PageHeader title={first?.spanName ?? "A trace without spans"} docs="observability">
        {runId !== undefined && (
          <Link to="/runs/$id" params={{ id: runId }} className="text-sm text-accent underline">
            Its run
          </Link>
        )}
      </PageHeader>
      <p className="text-xs text-ink-soft">
        Trace <code className="font-mono break-all">{id}</code>
      </p>
      {trace.data.length > 0 && <SpanWaterfall spans={trace.data} />}
    </div>
  );
}
