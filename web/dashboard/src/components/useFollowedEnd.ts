/** A box that grows at its end: it is followed until the reader scrolls up, and again when they return to the end. */
import { useEffect, useRef, type RefObject, type UIEvent } from "react";

const FOLLOW_WITHIN_PX = 24;

export interface FollowedEnd<Box extends HTMLElement> {
  readonly box: RefObject<Box | null>;
  readonly onScroll: (event: UIEvent<Box>) => void;
  /** Until the reader returns to the end. */
  readonly stop: () => void;
}

/** `content` is what makes the box grow. */
export function useFollowedEnd<Box extends HTMLElement>(content: unknown): FollowedEnd<Box> {
  const box = useRef<Box>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [content]);
  return {
    box,
    onScroll: ({ currentTarget: at }) => {
      follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < FOLLOW_WITHIN_PX;
    },
    stop: () => {
      follows.current = false;
    },
  };
}
