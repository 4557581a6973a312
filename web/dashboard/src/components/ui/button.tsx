import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps } from "react";

import { useMay, type Act } from "../may";
import { cn } from "./classes";

const buttonVariants = cva(
  "inline-flex h-8 items-center justify-center gap-1.5 rounded-md border px-3 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-50",
  {
    variants: {
      variant: {
        primary: "border-accent bg-accent text-on-accent enabled:hover:brightness-110",
        secondary: "border-line bg-card text-ink enabled:hover:bg-sunken",
        danger: "border-line bg-card text-failed enabled:hover:bg-failed-soft",
        ghost: "border-transparent bg-transparent text-ink-soft enabled:hover:bg-sunken enabled:hover:text-ink",
      },
      size: { regular: "", small: "h-6 px-2 text-xs" },
    },
    defaultVariants: { variant: "secondary", size: "regular" },
  },
);

/** A button that `needs` an act is not there for whoever may not do it. */
export function Button({
  className,
  variant,
  size,
  type = "button",
  needs = null,
  ...props
}: ComponentProps<"button"> & VariantProps<typeof buttonVariants> & { readonly needs?: Act | null }) {
  const may = useMay();
  if (needs !== null && !may(needs)) return null;
  return <button type={type} data-needs={needs ?? undefined} className={cn(buttonVariants({ variant, size }), className)} {...props} />;
}
