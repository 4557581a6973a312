import { useState } from "react";
import { shareConversation, unshareConversation } from "../services/conversations";
import { sentenceOf } from "../services/wire";
import { CopyButton } from "./CopyButton";
import { Dialog } from "./Dialog";

interface Props {
  conversationId: string;
  /** The last finished answer of the branch that is shown. */
  messageId: string;
  sharedAt: string | null;
  onShared: (sharedAt: string | null) => void;
  onClose: () => void;
}

/** A link by which others read the conversation, and the end of that link. */
export function ShareDialog({ conversationId, messageId, sharedAt, onShared, onClose }: Props) {
  const [link, setLink] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    await work().catch((error: unknown) => setProblem(sentenceOf(error)));
    setBusy(false);
  };
  const share = () =>
    attempt(async () => {
      const shared = await shareConversation(conversationId, messageId);
      setLink(`${location.origin}/s/${shared.link}`);
      onShared(shared.sharedAt);
    });
  const unshare = () =>
    attempt(async () => {
      await unshareConversation(conversationId);
      setLink(null);
      onShared(null);
    });

  return (
    <Dialog title="Share this conversation" onClose={onClose}>
      <p>
        Whoever has the link can read what is shown now, from the first question to the last answer, and nothing you ask
        later. They cannot change it.
      </p>
      {link !== null && (
        <p className="link">
          <input aria-label="Link" readOnly value={link} onFocus={(event) => event.currentTarget.select()} autoFocus />
          <CopyButton text={link} label="Copy the link" />
        </p>
      )}
      {link === null && sharedAt !== null && (
        <p className="label">
          Shared since {new Date(sharedAt).toLocaleString()}. The link itself is not kept here; a new one replaces it.
        </p>
      )}
      {problem !== null && (
        <p className="error" role="alert">
          {problem}
        </p>
      )}
      <p className="choices">
        {sharedAt !== null && (
          <button type="button" className="quiet" disabled={busy} onClick={() => void unshare()}>
            Stop sharing
          </button>
        )}
        {link === null && (
          <button type="button" className="strong" disabled={busy} onClick={() => void share()}>
            {sharedAt === null ? "Make a link" : "Make a new link"}
          </button>
        )}
      </p>
    </Dialog>
  );
}
