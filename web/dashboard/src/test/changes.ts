/** The browser's `EventSource`, which jsdom lacks: connections that a test opens, feeds and breaks. */
import { act } from "@testing-library/react";
import { afterEach, vi } from "vitest";

type Listener = (event: MessageEvent<string>) => void;

class Connection {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  readyState = Connection.CONNECTING;
  private readonly listeners = new Map<string, Listener[]>();

  constructor(readonly url: string) {
    connections.push(this);
  }

  addEventListener(type: string, listener: Listener): void {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
  }

  emit(type: string, data = "", lastEventId = ""): void {
    for (const listener of this.listeners.get(type) ?? []) listener(new MessageEvent(type, { data, lastEventId }));
  }

  close(): void {
    this.readyState = Connection.CLOSED;
  }
}

const connections: Connection[] = [];

vi.stubGlobal("EventSource", Connection);
afterEach(() => {
  connections.length = 0;
});

/** Connections that are open or being opened. */
export function openConnections(): readonly Connection[] {
  return connections.filter((connection) => connection.readyState !== Connection.CLOSED);
}

/** Tells every open page what has changed. */
export function tellChanges(message: {
  kinds: readonly string[];
  ids?: readonly string[];
  heartbeats?: Readonly<Record<string, string>>;
}): void {
  act(() => {
    for (const connection of openConnections()) {
      connection.readyState = Connection.OPEN;
      connection.emit("message", JSON.stringify(message));
    }
  });
}

/** The engine refuses every connection, or (`breaksOff`) all break and the browser tries again by itself. */
export function loseConnections(breaksOff = false): void {
  act(() => {
    for (const connection of openConnections()) {
      connection.readyState = breaksOff ? Connection.CONNECTING : Connection.CLOSED;
      connection.emit("error");
    }
  });
}
