/* global document, localStorage */
// Before the first paint, so that nobody who chose the dark sees the light first. `src/theme.ts` changes the choice.
try {
  const theme = localStorage.getItem("broadaxe.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
