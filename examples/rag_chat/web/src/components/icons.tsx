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

const drawn = (path: string) =>
  function Icon() {
    return (
      <svg {...common}>
        <path d={path} />
      </svg>
    );
  };

export const AxeIcon = () => (
  <svg {...common}>
    <path d="m13 11-8.5 8.5a2.12 2.12 0 0 1-3-3L10 8" />
    <path d="M9 7c2.5-3.2 5-4.6 8-5 .8 1.5 2.7 3.4 5 5-.4 3-1.8 5.5-5 8z" />
  </svg>
);

export const StopIcon = () => (
  <svg {...common} fill="currentColor" stroke="none">
    <rect x="6" y="6" width="12" height="12" rx="2" />
  </svg>
);

const THUMB = "M7 11v9H4v-9h3Zm0 0 4-8a2.5 2.5 0 0 1 2.5 2.500V9h5a2 2 0 0 1 2 2.300l-1.1 7a2 2 0 0 1-2 1.700H7";

export const GoodIcon = drawn(THUMB);
export const BadIcon = () => (
  <svg {...common}>
    <path d={THUMB} transform="rotate(180 12 12)" />
  </svg>
);
export const SendIcon = drawn("M12 19V5M5 12l7-7 7 7");
export const CheckIcon = drawn("m5 12.5 4.5 4.500L19 7.5");
export const PlusIcon = drawn("M12 5v14M5 12h14");
export const MenuIcon = drawn("M4 7h16M4 12h16M4 17h16");
export const CloseIcon = drawn("M6 6l12 12M18 6 6 18");
export const EditIcon = drawn("M4 20h4L19 9l-4-4L4 16v4ZM13 7l4 4");
export const CopyIcon = drawn("M9 9h11v11H9zM5 15H4V4h11v1");
export const AgainIcon = drawn("M20 11a8 8 0 1 0-2.3 6.300M20 5v6h-6");
export const ShareIcon = drawn("M12 15V3m0 0L8 7m4-4 4 4M5 12v8h14v-8");
export const SaveIcon = drawn("M12 4v11m0 0-4-4m4 4 4-4M5 20h14");
export const DeleteIcon = drawn("M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5");
export const BackIcon = drawn("m14 6-6 6 6 6");
export const OnIcon = drawn("m10 6 6 6-6 6");
