/**
 * The frame of every dialog that asks for something: a title, fields, why it did not work, and the two buttons.
 *
 * What is wrong stands at its field, whether the form sees it before anything is sent or the engine refuses it; what the
 * engine says of no field in particular stands above the buttons. Enter in a field and Ctrl+Enter anywhere send, Escape
 * closes, and while an answer is awaited nothing is sent twice.
 */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type KeyboardEvent, type ReactNode, type SyntheticEvent } from "react";

import { ApiError } from "../services/http";
import { Refusal } from "./Notice";
import { Button } from "./ui/button";
import { Actions, Dialog, type Width } from "./ui/dialog";

interface Outcome {
  readonly title: string;
  readonly content: ReactNode;
}

export function FormDialog<Name extends string, Result>({
  title,
  onClose,
  wide = false,
  problems,
  act,
  submit,
  submitting,
  canSubmit = true,
  close = "Close",
  touches = [],
  onDone,
  done,
  children,
}: {
  title: string;
  onClose: () => void;
  wide?: Width;
  /** What is wrong with each field, by the name that the engine has for it; null: nothing. */
  problems: Readonly<Record<Name, string | null>>;
  /** Sends it. Called only when there are no problems. */
  act: () => Promise<Result>;
  /** On the button that sends it, and on the same one while the answer is awaited. */
  submit: string;
  submitting: string;
  /** False while what it would do is being looked up. */
  canSubmit?: boolean;
  /** On the button that leaves everything as it is. */
  close?: string;
  /** The first words of the query keys that are asked again afterwards. */
  touches?: readonly string[];
  /** Instead of closing. */
  onDone?: (result: Result) => void;
  /** What is shown when it is done, where closing at once would lose something. */
  done?: (result: Result) => Outcome;
  /** The fields; `problemAt` says what to show at one of them. */
  children: (problemAt: (name: Name) => string | null) => ReactNode;
}) {
  const client = useQueryClient();
  const form = useRef<HTMLFormElement>(null);
  const [wasTried, setWasTried] = useState(false);
  const acting = useMutation({
    mutationFn: act,
    onSuccess: (result) => {
      if (done !== undefined) return;
      (onDone ?? onClose)(result);
    },
    onSettled: () => {
      for (const kind of touches) void client.invalidateQueries({ queryKey: [kind] });
    },
  });

  const names = Object.keys(problems) as Name[];
  const refusedAt = refusedField(acting.error, names);

  function problemAt(name: Name): string | null {
    if (wasTried && problems[name] !== null) return problems[name];
    return refusedAt === name && acting.error !== null ? acting.error.message : null;
  }

  function send(event: SyntheticEvent): void {
    event.preventDefault();
    if (acting.isPending || !canSubmit) return;
    setWasTried(true);
    if (names.every((name) => problems[name] === null)) acting.mutate();
    // Once they are drawn: the first field that something is wrong with.
    else requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.current?.requestSubmit();
  }

  if (done !== undefined && acting.isSuccess) {
    const outcome = done(acting.data);
    return (
      <Dialog key="done" title={outcome.title} onClose={onClose} wide={wide}>
        {outcome.content}
        <Actions>
          <Button variant="primary" onClick={onClose}>
            Done
          </Button>
        </Actions>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      {/* The keys are a second way to the button that is there for everybody. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <form ref={form} onSubmit={send} onKeyDown={onKeyDown} onInput={() => acting.error !== null && acting.reset()} noValidate>
        {children(problemAt)}
        {acting.error !== null && refusedAt === null && <Refusal error={acting.error} />}
        <Actions>
          <Button onClick={onClose}>{close}</Button>
          <Button type="submit" variant="primary" disabled={acting.isPending || !canSubmit} title="Ctrl+Enter">
            {acting.isPending ? submitting : submit}
          </Button>
        </Actions>
      </form>
    </Dialog>
  );
}

/** The field that a refusal is about; `auth.apiKey` is part of `auth`. */
function refusedField<Name extends string>(error: Error | null, names: readonly Name[]): Name | null {
  const field = error instanceof ApiError ? error.field : null;
  if (field === null) return null;
  return names.find((name) => field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[`)) ?? null;
}
