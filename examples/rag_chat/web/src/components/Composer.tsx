import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import type { Config } from "../services/wire";
import { SendIcon, StopIcon } from "./icons";

const QUESTION_CHARS_MAX = 8_000;
const URL_KEY = "rag-chat.url";

interface Props {
  config: Config | null;
  loaded: boolean;
  busy: boolean;
  onAsk: (question: string, url: string, model: string | null) => Promise<boolean>;
  onStop: () => Promise<void>;
}

/** Where to look, what to ask, and the button that asks or stops. */
export function Composer({ config, loaded, busy, onAsk, onStop }: Props) {
  const [typedUrl, setTypedUrl] = useState<string | null>(() => sessionStorage.getItem(URL_KEY));
  const [question, setQuestion] = useState("");
  const [model, setModel] = useState<string | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const url = typedUrl ?? config?.defaultUrl ?? "";
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

  const changeUrl = (value: string) => {
    setTypedUrl(value);
    sessionStorage.setItem(URL_KEY, value);
  };

  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    if (!ready) return;
    const asked = question;
    setQuestion("");
    if (!(await onAsk(asked.trim(), url.trim(), model))) setQuestion(asked);
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
          onChange={(event) => changeUrl(event.target.value)}
        />
        {names.length > 1 && (
          <select aria-label="Model" value={model ?? config?.model ?? ""} onChange={(event) => setModel(event.target.value)}>
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
