export function PausedMark() {
  return <span className="ml-2 rounded-full bg-cancelled-soft px-2 py-0.5 text-xs font-normal text-cancelled">Paused</span>;
}
