import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import type { AboutNext } from "../chat/useAbout";
import { QUESTION_CHARS_MAX, type Config, type Mode } from "../services/wire";
import { AboutField } from "./AboutField";
import { SendIcon, StopIcon } from "./icons";
import { ModeSwitch } from "./ModeSwitch";

interface Props {
  config: Config | null;
  loaded: boolean;
  busy: boolean;
  about: AboutNext;
  mode: Mode;
  onMode: (mode: Mode) => void;
  /** The model that was chosen; null leaves it to the edge. */
  model: string | null;
  onModel: (model: string) => void;
  onAsk: (question: string) => Promise<boolean>;
  onStop: () => Promise<void>;
}

/** Where to look, what to ask, and the button that asks or stops. */
export function Composer({ config, loaded, busy, about, mode, onMode, model, onModel, onAsk, onStop }: Props) {
  const [question, setQuestion] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const models = config?.models ?? [];
  // A chosen model that went away stays chosen: answering with another one is for the person to decide.
  const names = model === null || models.includes(model) ? models : [model, ...models];
  const ready = question.trim() !== "" && about.addresses.length > 0 && loaded && !busy;

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
      <AboutField loaded={loaded} typed={about.typed} onTyped={about.type} chips={about.chips} onAdd={about.add} onRemove={about.remove} />
      <div className="what">
        <textarea
          ref={box}
          aria-label="Your question"
          placeholder={about.addresses.length > 1 ? "Ask about these sources…" : "Ask about this page…"}
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
      <div className="how">
        <ModeSwitch mode={mode} onMode={onMode} />
        {names.length > 1 && (
          <select aria-label="Model" value={model ?? config?.model ?? ""} onChange={(event) => onModel(event.target.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </div>
    </form>
  );
}
