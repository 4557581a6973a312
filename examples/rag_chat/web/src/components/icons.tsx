// The few icons of the page. They carry no meaning by themselves; the buttons round them are named.

const common = {
  viewBox: "0 0 24 24",
  fill: "none",
  stroke: "currentColor",
  strokeWidth: 2,
  strokeLinecap: "round",
  strokeLinejoin: "round",
  "aria-hidden": true,
} as const;

export const AxeIcon = () => (
  <svg {...common}>
    <path d="m13 11-8.5 8.5a2.12 2.12 0 0 1-3-3L10 8" />
    <path d="M9 7c2.5-3.2 5-4.6 8-5 .8 1.5 2.7 3.4 5 5-.4 3-1.8 5.500-5 8z" />
  </svg>
);

export const SendIcon = () => (
  <svg {...common}>
    <path d="M12 19V5M5 12l7-7 7 7" />
  </svg>
);

export const StopIcon = () => (
  <svg {...common} fill="currentColor" stroke="none">
    <rect x="6" y="6" width="12" height="12" rx="2" />
  </svg>
);

export const CheckIcon = () => (
  <svg {...common}>
    <path d="m5 12.500 4.500 4.500L19 7.500" />
  </svg>
);
