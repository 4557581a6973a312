// What the next question is about: an address that is typed, and further sources beside it. Of a conversation that is to
// begin it is in the page's address (`/?about=…&about=…`), so that a link can say it.

import { useCallback, useState } from "react";
import { go } from "../pages/route";
import { useFetched } from "../pages/useFetched";
import { fetchSources, plainName, type Source } from "../services/library";
import type { Turn } from "./transcript";

const URL_KEY = "rag-chat.url";

export interface Named {
  address: string;
  name: string;
  /** It is still being read. */
  reading: boolean;
}

export interface AboutNext {
  typed: string;
  type: (typed: string) => void;
  chips: Named[];
  add: (address: string) => void;
  remove: (address: string) => void;
  /** All of it; empty when there is nothing to ask about. */
  addresses: string[];
  nameOf: (address: string) => string;
}

interface Chosen {
  typed: string | null;
  chips: string[] | null;
}

const isKept = (address: string): boolean => address.startsWith("source:");

function split(addresses: string[]): Chosen {
  const typed = addresses.find((address) => !isKept(address)) ?? "";
  return { typed, chips: addresses.filter((address) => address !== typed) };
}

/** What the address of the page says, when a conversation begins here. */
function chosenHere(isNew: boolean): Chosen {
  const given = new URLSearchParams(location.search).getAll("about").filter(Boolean);
  if (isNew && given.length > 0) return split([...new Set(given)]);
  return { typed: isNew ? sessionStorage.getItem(URL_KEY) : null, chips: null };
}

const nothing = (): Promise<Source[]> => Promise.resolve([]);
const unfinished = (sources: Source[]): boolean => sources.some((source) => source.status === "reading");

/** `last` is the latest question, which the next one is about too unless the person says otherwise. */
export function useAbout(isNew: boolean, last: Turn | undefined, defaultUrl: string, asked: readonly Turn[]): AboutNext {
  const [chosen, setChosen] = useState<Chosen>(() => chosenHere(isNew));
  const before: Chosen = last === undefined ? { typed: defaultUrl, chips: [] } : split([last.url, ...last.sources]);
  const typed = chosen.typed ?? before.typed ?? "";
  const chips = chosen.chips ?? before.chips ?? [];

  const wantsNames = [...chips, ...asked.flatMap((turn) => [turn.url, ...turn.sources])].some(isKept);
  const { value: shelf } = useFetched(wantsNames ? fetchSources : nothing, unfinished);
  const kept = (address: string) => shelf?.find((source) => source.address === address);
  const nameOf = (address: string) => kept(address)?.url ?? plainName(address);

  const change = (next: { typed: string; chips: string[] }) => {
    setChosen(next);
    if (location.pathname !== "/") return;
    const params = new URLSearchParams(location.search);
    params.delete("about");
    for (const address of [next.typed.trim(), ...next.chips]) if (address !== "") params.append("about", address);
    go(`/?${params}`, "replace");
  };
  const type = useCallback((text: string) => {
    setChosen((known) => ({ ...known, typed: text }));
    sessionStorage.setItem(URL_KEY, text);
  }, []);

  return {
    typed,
    type,
    chips: chips.map((address) => ({ address, name: nameOf(address), reading: kept(address)?.status === "reading" })),
    add: (address) => change({ typed: address === typed.trim() ? "" : typed, chips: [...chips.filter((each) => each !== address), address] }),
    remove: (address) => change({ typed, chips: chips.filter((each) => each !== address) }),
    addresses: [...new Set([typed.trim(), ...chips])].filter(Boolean),
    nameOf,
  };
}
