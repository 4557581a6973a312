import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useHeadings } from "../chat/useHeadings";
import { MORE_PAGES } from "../pages/more";
import { followHere, usePath } from "../pages/route";
import type { Heading } from "../services/conversations";
import { AxeIcon, CloseIcon, MenuIcon, PlusIcon } from "./icons";

const DAY_MS = 24 * 3_600_000;

/** Under which word a conversation stands in the list. */
function ageOf(updatedAt: string, now: Date): string {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const at = new Date(updatedAt).getTime();
  if (at >= today) return "Today";
  if (at >= today - DAY_MS) return "Yesterday";
  return at >= today - 7 * DAY_MS ? "The last seven days" : "Earlier";
}

function byAge(headings: Heading[]): [string, Heading[]][] {
  const now = new Date();
  const groups = new Map<string, Heading[]>();
  for (const heading of headings) {
    const age = ageOf(heading.updatedAt, now);
    groups.set(age, [...(groups.get(age) ?? []), heading]);
  }
  return [...groups];
}

/** What was asked before, and the way to everything else. `revision` grows when the list has to be looked at again. */
export function Sidebar({ revision }: { revision: number }) {
  const [open, setOpen] = useState(false);
  const [search, setSearch] = useState("");
  const { headings, loaded, more, problem } = useHeadings(search, revision);
  const path = usePath();
  const box = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLButtonElement>(null);

  // On a narrow screen the list covers the page, and is in the way once something was chosen.
  const [openedAt, setOpenedAt] = useState(path);
  if (openedAt !== path) {
    setOpenedAt(path);
    setOpen(false);
  }

  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.shiftKey || event.altKey) return;
      event.preventDefault();
      setOpen(true);
      // A list that is not shown yet cannot be focused.
      requestAnimationFrame(() => box.current?.focus());
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);

  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !open) return;
    close();
  };

  return (
    <aside className="side" aria-label="Sidebar">
      <button
        ref={opener}
        type="button"
        className="icon opener"
        aria-label="Conversations"
        aria-expanded={open}
        onClick={() => setOpen(true)}
      >
        <MenuIcon />
      </button>
      {open && <div className="veil" onClick={close} />}
      <div className={open ? "sidebar open" : "sidebar"} onKeyDown={onKey}>
        <p className="brand">
          <AxeIcon /> Ask the docs
          <button type="button" className="icon closer" aria-label="Close the list" onClick={close}>
            <CloseIcon />
          </button>
        </p>
        <a className="new" href="/" onClick={followHere} aria-current={path === "/" ? "page" : undefined}>
          <PlusIcon /> New conversation
        </a>
        <input
          ref={box}
          type="search"
          className="search"
          aria-label="Search conversations"
          placeholder="Search conversations"
          title="Ctrl K"
          maxLength={200}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <nav aria-label="Conversations">
          {byAge(headings).map(([age, group]) => (
            <section key={age}>
              <h2>{age}</h2>
              <ul>
                {group.map((heading) => (
                  <HeadingLink key={heading.conversationId} heading={heading} path={path} />
                ))}
              </ul>
            </section>
          ))}
          {more !== null && (
            <button type="button" className="quiet" onClick={more}>
              Show earlier ones
            </button>
          )}
          {problem !== null && <p className="label">{problem}</p>}
          {loaded && problem === null && headings.length === 0 && (
            <p className="label" role="status">
              {search.trim() === "" ? "What you ask is kept here, for this browser alone." : "No conversation has these words."}
            </p>
          )}
        </nav>
        {MORE_PAGES.length > 0 && (
          <nav aria-label="More" className="more">
            {MORE_PAGES.map(({ path: address, name }) => (
              <a key={address} href={address} onClick={followHere} aria-current={path === address ? "page" : undefined}>
                {name}
              </a>
            ))}
          </nav>
        )}
      </div>
    </aside>
  );
}

function HeadingLink({ heading, path }: { heading: Heading; path: string }) {
  const address = `/c/${heading.conversationId}`;
  return (
    <li>
      <a href={address} onClick={followHere} aria-current={path === address ? "page" : undefined} title={heading.title}>
        <span className="name">{heading.title}</span>
        {heading.sharedAt !== null && <span className="tag">shared</span>}
        {heading.excerpt !== null && <span className="excerpt">{heading.excerpt}</span>}
      </a>
    </li>
  );
}
