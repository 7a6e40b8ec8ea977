// Messages, questions before something that cannot be taken back, and work that takes a while.
import { signal, useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface Note {
  id: number;
  text: string;
  bad: boolean;
}

const notes = signal<Note[]>([]);
let next = 0;

export function say(text: string, bad = false): void {
  const note = { id: ++next, text, bad };
  notes.value = [...notes.value.slice(-3), note];
  // An error stays until it is closed: it says what to do.
  if (!bad) setTimeout(() => close(note.id), 5000);
}

function close(id: number): void {
  notes.value = notes.value.filter((note) => note.id !== id);
}

export function Notes(): JSX.Element {
  return (
    <div class="notes" role="region" aria-label="Messages">
      <div aria-live="polite">
        {notes.value.map((note) => (
          <div key={note.id} class={note.bad ? 'note bad' : 'note'}>
            <span>{note.text}</span>
            <button class="plain" aria-label="Close this message" onClick={() => close(note.id)}>
              ✕
            </button>
          </div>
        ))}
      </div>
    </div>
  );
}

/** Runs it, and tells how it ended. True: it went well. */
export async function attempt(work: () => Promise<string | void>, done = ''): Promise<boolean> {
  try {
    const said = await work();
    const told = said || done;
    if (told) say(told);
    return true;
  } catch (fault) {
    say((fault as Error).message, true);
    return false;
  }
}

interface Question {
  title: string;
  text: string;
  action: string;
  danger: boolean;
  answer: (yes: boolean) => void;
}

const question = signal<Question | null>(null);

export function ask(title: string, text: string, action: string, danger = false): Promise<boolean> {
  return new Promise((answer) => {
    question.value = { title, text, action, danger, answer };
  });
}

export function Dialog(props: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog ref={element} aria-labelledby="dialog-title" onClose={props.onClose}>
      <h2 id="dialog-title">{props.title}</h2>
      {props.children}
    </dialog>
  );
}

export function Questions(): JSX.Element | null {
  const asked = question.value;
  if (!asked) return null;
  const end = (yes: boolean): void => {
    question.value = null;
    asked.answer(yes);
  };
  return (
    <Dialog key={asked.title + asked.text} title={asked.title} onClose={() => end(false)}>
      <p>{asked.text}</p>
      <div class="actions">
        <button onClick={() => end(false)}>Cancel</button>
        <button class={asked.danger ? 'danger' : 'primary'} autofocus onClick={() => end(true)}>
          {asked.action}
        </button>
      </div>
    </Dialog>
  );
}

/** A button that is busy while its work runs. */
export function Act(props: {
  work: () => Promise<unknown>;
  children: ComponentChildren;
  class?: string;
  disabled?: boolean;
  title?: string;
  label?: string;
}): JSX.Element {
  const busy = useSignal(false);
  return (
    <button
      type="button"
      class={props.class}
      disabled={props.disabled || busy.value}
      title={props.title}
      aria-label={props.label}
      aria-busy={busy.value}
      onClick={() => {
        busy.value = true;
        void props.work().finally(() => {
          busy.value = false;
        });
      }}
    >
      {props.children}
    </button>
  );
}

export function Problem(props: { text: string }): JSX.Element | null {
  return props.text ? (
    <p class="problem" role="alert">
      {props.text}
    </p>
  ) : null;
}
