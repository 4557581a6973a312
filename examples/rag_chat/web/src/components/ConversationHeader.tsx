import { useLayoutEffect, useRef, useState, type FormEvent } from "react";
import { conversationAsMarkdown, saveAs } from "../chat/markdown";
import type { Turn } from "../chat/transcript";
import { forgetConversation, renameConversation } from "../services/conversations";
import { sentenceOf } from "../services/wire";
import { Dialog } from "./Dialog";
import { DeleteIcon, EditIcon, SaveIcon, ShareIcon } from "./icons";
import { ShareDialog } from "./ShareDialog";

const TITLE_CHARS_MAX = 120;

interface Props {
  conversationId: string;
  title: string;
  sharedAt: string | null;
  /** The branch that is shown. */
  line: readonly Turn[];
  onRenamed: (title: string) => void;
  onShared: (sharedAt: string | null) => void;
  onForgotten: () => void;
}

/** What a conversation is called, and what can be done with all of it. */
export function ConversationHeader({ conversationId, title, sharedAt, line, onRenamed, onShared, onForgotten }: Props) {
  const [asks, setAsks] = useState<"share" | "delete" | null>(null);
  const finished = line.findLast((turn) => turn.status !== "running" && turn.messageId !== null);
  return (
    <header>
      <Title conversationId={conversationId} title={title} onRenamed={onRenamed} />
      <span className="doings">
        <button
          type="button"
          className="icon"
          aria-label="Share"
          title={sharedAt === null ? "Share" : "Shared"}
          aria-pressed={sharedAt !== null}
          disabled={finished === undefined}
          onClick={() => setAsks("share")}
        >
          <ShareIcon />
        </button>
        <button
          type="button"
          className="icon"
          aria-label="Save as Markdown"
          title="Save as Markdown"
          disabled={finished === undefined}
          onClick={() => saveAs(`${fileNameOf(title)}.md`, conversationAsMarkdown(line))}
        >
          <SaveIcon />
        </button>
        <button type="button" className="icon" aria-label="Delete" title="Delete" onClick={() => setAsks("delete")}>
          <DeleteIcon />
        </button>
      </span>
      {asks === "share" && finished?.messageId != null && (
        <ShareDialog
          conversationId={conversationId}
          messageId={finished.messageId}
          sharedAt={sharedAt}
          onShared={onShared}
          onClose={() => setAsks(null)}
        />
      )}
      {asks === "delete" && (
        <DeleteDialog conversationId={conversationId} title={title} onForgotten={onForgotten} onClose={() => setAsks(null)} />
      )}
    </header>
  );
}

/** A name for a file that every system takes. */
const fileNameOf = (title: string): string =>
  title
    .normalize("NFKD")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60)
    .toLowerCase() || "conversation";

function Title({ conversationId, title, onRenamed }: { conversationId: string; title: string; onRenamed: (title: string) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const rename = useRef<HTMLButtonElement>(null);
  const wasTyping = useRef(false);

  useLayoutEffect(() => {
    if (wasTyping.current && typed === null) rename.current?.focus();
    wasTyping.current = typed !== null;
  }, [typed]);

  const save = async (event: FormEvent) => {
    event.preventDefault();
    const wanted = typed?.trim() ?? "";
    if (wanted === "" || wanted === title) return setTyped(null);
    try {
      onRenamed(await renameConversation(conversationId, wanted));
      setProblem(null);
      setTyped(null);
    } catch (error) {
      setProblem(sentenceOf(error));
    }
  };

  if (typed === null)
    return (
      <span className="title">
        <h1>{title}</h1>
        <button ref={rename} type="button" className="icon" aria-label="Rename" title="Rename" onClick={() => setTyped(title)}>
          <EditIcon />
        </button>
      </span>
    );
  return (
    <form className="title" onSubmit={(event) => void save(event)}>
      <h1 className="unseen">{title}</h1>
      <input
        aria-label="Name of the conversation"
        maxLength={TITLE_CHARS_MAX}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onFocus={(event) => event.currentTarget.select()}
        onKeyDown={(event) => event.key === "Escape" && setTyped(null)}
        autoFocus
      />
      <button type="submit" className="quiet">
        Save
      </button>
      {problem !== null && (
        <span className="error" role="alert">
          {problem}
        </span>
      )}
    </form>
  );
}

interface DeleteProps {
  conversationId: string;
  title: string;
  onForgotten: () => void;
  onClose: () => void;
}

function DeleteDialog({ conversationId, title, onForgotten, onClose }: DeleteProps) {
  const [problem, setProblem] = useState<string | null>(null);
  const forget = async () => {
    try {
      await forgetConversation(conversationId);
      onForgotten();
    } catch (error) {
      setProblem(sentenceOf(error));
    }
  };
  return (
    <Dialog title="Delete this conversation?" onClose={onClose}>
      <p>“{title}” is deleted with all its versions and its link, for good. Answers still being written are stopped.</p>
      {problem !== null && (
        <p className="error" role="alert">
          {problem}
        </p>
      )}
      <p className="choices">
        <button type="button" className="quiet" onClick={onClose} autoFocus>
          Keep it
        </button>
        <button type="button" className="danger" onClick={() => void forget()}>
          Delete
        </button>
      </p>
    </Dialog>
  );
}
