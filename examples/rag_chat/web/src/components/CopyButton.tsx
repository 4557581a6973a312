import { useState } from "react";
import { CopyIcon } from "./icons";

/** Puts a text into the clipboard, and says whether that worked. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // Browsers lend the clipboard to secure pages only.
      setSaid("The browser does not allow it");
    }
  };
  return (
    <>
      <button type="button" className="icon" aria-label={label} title={label} onClick={() => void copy()}>
        <CopyIcon />
      </button>
      <span className="said" role="status">
        {said}
      </span>
    </>
  );
}
