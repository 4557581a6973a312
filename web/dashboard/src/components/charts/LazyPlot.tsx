/** The drawing of a chart, with the library it needs, is loaded when the first chart is shown. */
import { Loading } from "../Notice";
import { useLoaded } from "../useLoaded";
import type { PlotProps } from "./TimeChart";

export function LazyPlot(props: PlotProps) {
  const plot = useLoaded(() => import("./Plot"));
  if (plot === null) return <Loading label="Loading the chart…" />;
  return <plot.Plot {...props} />;
}
