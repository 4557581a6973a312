/**
 * Light or dark: as the system says, unless somebody chose. Kept per browser.
 *
 * The choice is an attribute of the document's root, which the palette in `index.css` reads. `public/theme.js` sets it
 * before the first paint: the page's security policy allows no script in the page itself.
 */
import { useSyncExternalStore } from "react";

import { keep } from "./components/kept";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "broadaxe.theme";
const listeners = new Set<() => void>();

function chosen(): Theme {
  return THEMES.find((theme) => theme === document.documentElement.dataset["theme"]) ?? "system";
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  keep(KEY, theme === "system" ? null : theme);
  for (const notify of listeners) notify();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, chosen);
}
