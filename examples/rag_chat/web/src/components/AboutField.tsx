import { useState, type KeyboardEvent } from "react";
import type { Named } from "../chat/useAbout";
import { CloseIcon, PlusIcon } from "./icons";
import { SourcePicker } from "./SourcePicker";

/** With the one that is typed, as many as the edge takes. */
const SOURCES_MAX = 10;

interface Props {
  loaded: boolean;
  /** The address that is being typed. */
  typed: string;
  onTyped: (typed: string) => void;
  /** Further sources, in the order in which they were added. */
  chips: Named[];
  onAdd: (address: string) => void;
  onRemove: (address: string) => void;
}

/** What a question is about: an address, and any number of further ones, files and sources of the library. */
export function AboutField({ loaded, typed, onTyped, chips, onAdd, onRemove }: Props) {
  const [picking, setPicking] = useState(false);
  const full = chips.length >= SOURCES_MAX;

  const onKey = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Enter") {
      // One address is taken, and there is room for another.
      event.preventDefault();
      if (full || !event.currentTarget.checkValidity() || typed.trim() === "") return;
      onAdd(typed.trim());
      onTyped("");
    } else if (event.key === "Backspace" && typed === "") {
      const last = chips.at(-1);
      if (last !== undefined) onRemove(last.address);
    }
  };

  return (
    <>
      <div className="where">
        <label htmlFor="url">About</label>
        <input
          id="url"
          type="url"
          inputMode="url"
          required={chips.length === 0}
          readOnly={!loaded}
          spellCheck={false}
          autoComplete="off"
          placeholder={chips.length === 0 ? "https://example.org/docs/" : "and another address"}
          title="Enter adds the address, so that another one can be given"
          value={typed}
          onChange={(event) => onTyped(event.target.value)}
          onKeyDown={onKey}
        />
        <button type="button" className="quiet add" disabled={!loaded || full} onClick={() => setPicking(true)}>
          <PlusIcon /> Sources
        </button>
      </div>
      {chips.length > 0 && (
        <ul className="about-chips" aria-label="Further sources">
          {chips.map(({ address, name, reading }) => (
            <li key={address} title={name}>
              <span className="name">{name}</span>
              {reading && <span className="state">being read</span>}
              <button type="button" className="icon" aria-label={`Leave out ${name}`} onClick={() => onRemove(address)}>
                <CloseIcon />
              </button>
            </li>
          ))}
        </ul>
      )}
      {picking && (
        <SourcePicker
          chosen={chips.map(({ address }) => address)}
          full={full}
          onAdd={onAdd}
          onRemove={onRemove}
          onClose={() => setPicking(false)}
        />
      )}
    </>
  );
}
