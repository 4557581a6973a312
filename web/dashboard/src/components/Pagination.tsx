import { Button } from "./ui/button";

export function Pagination({ page, pageCount, onChange }: { page: number; pageCount: number; onChange: (page: number) => void }) {
  if (pageCount <= 1 && page === 1) return null;
  return (
    <nav aria-label="Pages" className="flex items-center justify-end gap-3 border-t border-line px-4 py-2 text-sm">
      <Button disabled={page <= 1} onClick={() => onChange(page - 1)}>
        Newer
      </Button>
      <span className="text-ink-soft tabular-nums">
        Page {page} of {Math.max(page, pageCount)}
      </span>
      <Button disabled={page >= pageCount} onClick={() => onChange(page + 1)}>
        Older
      </Button>
    </nav>
  );
}
