// Who is at a console or a screen, and how its keyboard changes hands: asked for, given, or taken.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { set, text, type TargetView } from '../api';
import { attempt, say } from '../parts/feedback';
import { may } from '../session';

interface SeatProps {
  path: '/HOST/console' | '/HOST/screen';
  name: string; // "the screen"
  view: TargetView | null;
  mine: boolean;
}

const order = (path: string, word: string): Promise<boolean> =>
  attempt(() => set(path, { seat: word }));

/** The buttons of who does not have it. */
export function SeatButtons(props: SeatProps & { take: () => void }): JSX.Element | null {
  const { path, name, view, mine } = props;
  const asking = useSignal(false);
  const asked = text(view, 'asked_by');
  const seen = useRef('');
  useEffect(() => {
    if (asking.value && mine) say(`You have ${name}.`);
    else if (asking.value && seen.current && !asked) say(`Whoever has ${name} keeps it.`);
    if (mine || !asked) asking.value = asking.value && !mine && !seen.current;
    seen.current = asked;
  }, [asked, mine]);
  if (mine || !may('c')) return null;
  const ask = async (): Promise<void> => {
    seen.current = '';
    asking.value = true;
    if (!(await order(path, 'ask'))) asking.value = false;
  };
  return (
    <>
      {text(view, 'writer') && (
        <button disabled={asking.value} aria-label={`Ask for ${name}`} onClick={() => void ask()}>
          {asking.value ? 'Asked …' : 'Ask'}
        </button>
      )}
      <button aria-label={`Take over ${name}`} onClick={props.take}>Take over</button>
    </>
  );
}

/** What the holder is asked. */
export function SeatQuestion(props: SeatProps): JSX.Element {
  const asked = text(props.view, 'asked_by');
  return (
    <div role="alert">
      {props.mine && asked && (
        <p class="away asked">
          <span>{asked} asks for {props.name}. Without an answer it is given within 30 seconds.</span>
          <button class="primary" onClick={() => void order(props.path, 'give')}>Give</button>
          <button onClick={() => void order(props.path, 'keep')}>Keep</button>
        </p>
      )}
    </div>
  );
}

export function Presence(props: { view: TargetView | null; name: string }): JSX.Element {
  const people = props.view?.Properties?.['viewers']?.Values ?? [];
  return (
    <details class="presence small">
      <summary>{people.length} at {props.name}</summary>
      <ul>{people.map((one, at) => <li key={at}>{one}</li>)}</ul>
    </details>
  );
}
