/** The mark of Broadaxe, a broad single-bevelled blade on its handle. The favicon is the same drawing. */
export function AxeMark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={className}>
      <g transform="rotate(28 16 16)">
        <rect className="fill-accent" x="12.2" y="2.5" width="3.2" height="27.5" rx="1.6" />
        <path
          className="fill-ink"
          d="M10.2 6.4 H16.4 C20.2 6.4 22.6 4.6 24.6 1.8 C28.4 7.4 28.4 15.4 24.6 21 C22.8 17 20 14.4 16.4 14 H10.2 A1 1 0 0 1 9.2 13 V7.4 A1 1 0 0 1 10.2 6.4 Z"
        />
        <path
          className="fill-none stroke-paper opacity-70"
          strokeWidth="1.1"
          strokeLinecap="round"
          d="M24.3 4.4 C26.5 8.6 26.5 14.2 24.3 18.4"
        />
      </g>
    </svg>
  );
}
