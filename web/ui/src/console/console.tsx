import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { Power } from '../parts/power';
import { Screen } from './screen';
import { Serial } from './serial';

type Layout = 'both' | 'serial' | 'screen';
const layout = signal<Layout>(innerWidth < 1000 ? 'serial' : 'both');

export function Console(): JSX.Element {
  const choices: [Layout, string][] = [
    ['both', 'Both'],
    ['serial', 'Serial'],
    ['screen', 'Screen'],
  ];
  return (
    <>
      <header class="page-head">
        <h1>Console</h1>
        <div class="segments" role="group" aria-label="What is shown">
          {choices.map(([name, label]) => (
            <button key={name} aria-pressed={layout.value === name} onClick={() => (layout.value = name)}>
              {label}
            </button>
          ))}
        </div>
        <Power />
      </header>
      <div class={'consoles ' + layout.value}>
        {layout.value !== 'screen' && <Serial key="serial" />}
        {layout.value !== 'serial' && <Screen key="screen" />}
      </div>
    </>
  );
}
