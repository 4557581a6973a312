import { useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import type { Turn } from "../chat/transcript";
import type { Versions } from "../chat/tree";
import { plainName } from "../services/library";
import { QUESTION_CHARS_MAX } from "../services/wire";
import { EditIcon } from "./icons";
import { VersionSwitch } from "./VersionSwitch";

interface Props {
  turn: Turn;
  versions: Versions | null;
  /** Asks it in other words, beside the first ones; null while nothing can be asked. */
  onEdit: ((turn: Turn, question: string) => void) | null;
  /** What an address is called; sources of the library have names. */
  nameOf?: (address: string) => string;
}

/** What was asked; it can be asked in other words. */
export function Question({ turn, versions, onEdit, nameOf = plainName }: Props) {
  const [words, setWords] = useState<string | null>(null);
  const edit = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);

  useLayoutEffect(() => {
    if (wasEditing.current && words === null) edit.current?.focus();
    wasEditing.current = words !== null;
  }, [words]);

  const save = () => {
    const question = words?.trim() ?? "";
    if (question === "" || onEdit === null) return;
    setWords(null);
    onEdit(turn, question);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") setWords(null);
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      save();
    }
  };

  if (words !== null)
    return (
      <form
        className="question editing"
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <textarea
          aria-label="The question in other words"
          rows={3}
          maxLength={QUESTION_CHARS_MAX}
          value={words}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={onKey}
          autoFocus
        />
        <p className="choices">
          <button type="button" className="quiet" onClick={() => setWords(null)}>
            Leave it
          </button>
          <button type="submit" className="strong" disabled={words.trim() === "" || onEdit === null}>
            Ask
          </button>
        </p>
      </form>
    );
  return (
    <div className="asked">
      <div className="question">
        <p>{turn.question}</p>
        {[turn.url, ...turn.sources].map((address) => (
          <p key={address} className="about">
            {nameOf(address)}
          </p>
        ))}
      </div>
      <p className="doings">
        <VersionSwitch versions={versions} of="question" />
        {onEdit !== null && (
          <button
            ref={edit}
            type="button"
            className="icon"
            aria-label="Edit the question"
            title="Edit the question"
            onClick={() => setWords(turn.question)}
          >
            <EditIcon />
          </button>
        )}
      </p>
    </div>
  );
}
