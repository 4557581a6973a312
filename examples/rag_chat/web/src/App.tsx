import { useCallback, useState } from "react";
import { newConversationId } from "./chat/useChat";
import { useConfig } from "./chat/useConfig";
import { Sidebar } from "./components/Sidebar";
import { ChatPage } from "./pages/ChatPage";
import { MORE_PAGES } from "./pages/more";
import { go, usePath } from "./pages/route";
import { SharedPage } from "./pages/SharedPage";

/** Which page stands at which address, and the list of conversations beside it. */
export function App() {
  const path = usePath();
  const configured = useConfig();
  const [revision, setRevision] = useState(0);
  const changed = useCallback(() => setRevision((number) => number + 1), []);

  // The conversation that begins at "/" has its id from the start, so that its page stays when it gets its address.
  const [draft, setDraft] = useState({ id: newConversationId(), begun: false });
  if (path === "/" && draft.begun) setDraft({ id: newConversationId(), begun: false });

  const link = /^\/s\/([^/]+)$/.exec(path)?.[1];
  const kept = /^\/c\/([^/]+)$/.exec(path)?.[1];
  const more = MORE_PAGES.find((page) => page.path === path);
  const conversationId = kept ?? (path === "/" ? draft.id : null);

  const asked = useCallback(
    (askedIn: string) => {
      if (askedIn === draft.id) {
        // Unless the person went elsewhere in the meantime.
        if (location.pathname === "/") go(`/c/${askedIn}`);
        setDraft({ id: askedIn, begun: true });
      }
      changed();
    },
    [changed, draft.id],
  );
  const forgotten = useCallback(() => {
    go("/");
    changed();
  }, [changed]);

  return (
    <div className="app">
      <Sidebar revision={revision} />
      <div className="page">
        {link !== undefined ? (
          <SharedPage key={link} link={link} />
        ) : conversationId !== null ? (
          <ChatPage
            key={conversationId}
            conversationId={conversationId}
            isNew={kept === undefined}
            configured={configured}
            onAsked={asked}
            onChanged={changed}
            onForgotten={forgotten}
          />
        ) : more !== undefined ? (
          <more.Page />
        ) : (
          <main>
            <section className="welcome">
              <h1>There is no such page</h1>
              <p>
                <a href="/">Ask something</a>
              </p>
            </section>
          </main>
        )}
      </div>
    </div>
  );
}
