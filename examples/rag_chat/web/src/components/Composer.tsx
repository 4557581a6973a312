import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { QUESTION_CHARS_MAX, type Config } from "../services/wire";
import { SendIcon, StopIcon } from "./icons";

interface Props {
  config: Config | null;
  loaded: boolean;
  busy: boolean;
  url: string;
  onUrl: (url: string) => void;
  /** The model that was chosen; null leaves it to the edge. */
  model: string | null;
  onModel: (model: string) => void;
  onAsk: (question: string) => Promise<boolean>;
  onStop: () => Promise<void>;
}

/** Where to look, what to ask, and the button that asks or stops. */
export function Composer({ config, loaded, busy, url, onUrl, model, onModel, onAsk, onStop }: Props) {
  const [question, setQuestion] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const models = config?.models ?? [];
  // A chosen model that went away stays chosen: answering with another one is for the person to decide.
  const names = model === null || models.includes(model) ? models : [model, ...models];
  const ready = question.trim() !== "" && url.trim() !== "" && loaded && !busy;

  useEffect(() => {
    const area = box.current;
    if (area === null) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 200)}px`;
  }, [question]);

  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    if (!ready) return;
    const asked = question;
    setQuestion("");
    if (!(await onAsk(asked.trim()))) setQuestion(asked);
    box.current?.focus();
  };

  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      void submit();
    }
  };

  return (
    <form className="composer" onSubmit={(event) => void submit(event)}>
      <div className="where">
        <label htmlFor="url">About</label>
        <input
          id="url"
          type="url"
          inputMode="url"
          required
          readOnly={!loaded}
          spellCheck={false}
          autoComplete="off"
          placeholder="https://example.org/docs/"
          value={url}
          onChange={(event) => onUrl(event.target.value)}
        />
        {names.length > 1 && (
          <select aria-label="Model" value={model ?? config?.model ?? ""} onChange={(event) => onModel(event.target.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </div>
      <div className="what">
        <textarea
          ref={box}
          aria-label="Your question"
          placeholder="Ask something about this page…"
          rows={1}
          maxLength={QUESTION_CHARS_MAX}
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
          onKeyDown={onKey}
          autoFocus
        />
        {busy ? (
          <button type="button" className="stop" onClick={() => void onStop()} aria-label="Stop" title="Stop">
            <StopIcon />
          </button>
        ) : (
          <button type="submit" disabled={!ready} aria-label="Ask" title="Ask">
            <SendIcon />
          </button>
        )}
      </div>
    </form>
  );
}
