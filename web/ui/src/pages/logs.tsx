import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useTarget } from '../live';
import { Act, ask, attempt, Problem } from '../parts/feedback';
import { saveFile } from '../parts/files';
import { rawText, set } from '../api';
import { may } from '../session';

/** What the console printed since the last power-on or reset. */
function BootLog(): JSX.Element {
  const { view, error } = useTarget('/HOST/console/bootlog', 1, ['/HOST']);
  const printed = view.value?.Text ?? '';
  const save = async (): Promise<void> => saveFile('boot.log', 'text/plain', await rawText('/HOST/console/bootlog'));
  return (
    <section class="card wide-card" aria-labelledby="bootlog">
      <h2 id="bootlog">
        Boot log
        <Act disabled={!printed} work={save}>Save</Act>
      </h2>
      <Problem text={error.value} />
      <pre class="scroll" tabIndex={0} role="region" aria-label="Boot log, text">
        {printed || 'The host has printed nothing since it was started.'}
      </pre>
    </section>
  );
}

export function Logs(): JSX.Element {
  const which = useSignal('event');
  const wanted = useSignal('');
  const { view, error } = useTarget(`/SP/logs/${which.value}/list`, 1, [`/SP/logs/${which.value}`]);
  const table = view.value?.Table;
  const needle = wanted.value.toLowerCase();
  const rows = (table?.Rows ?? [])
    .map((row) => row.Cells)
    .filter((row) => row.some((cell) => cell.toLowerCase().includes(needle)));
  const quoted = (cell: string): string => `"${cell.replace(/"/g, '""')}"`;
  const save = (): void =>
    saveFile(`${which.value}-log.csv`, 'text/csv',
      [table?.Columns ?? [], ...rows].map((row) => row.map(quoted).join(',')).join('\r\n') + '\r\n');
  const clear = async (): Promise<void> => {
    if (await ask('Clear the log', `All entries of the ${which.value} log are deleted.`, 'Clear', true))
      await attempt(() => set(`/SP/logs/${which.value}`, { clear: true }), 'The log is cleared.');
  };
  return (
    <>
      <header class="page-head">
        <h1>Logs</h1>
        <div class="actions">
          <button onClick={save} disabled={!table}>Export as CSV</button>
          <Act class="danger" disabled={!may('a')} work={clear}>Clear</Act>
        </div>
      </header>
      <Problem text={error.value} />
      <section class="card wide-card" aria-label="Entries">
        <div class="inline-form">
          <div class="field">
            <label for="which">Log</label>
            <select id="which" value={which.value} onChange={(event) => (which.value = event.currentTarget.value)}>
              <option value="event">Events</option>
              <option value="audit">Audit</option>
            </select>
          </div>
          <div class="field">
            <label for="filter">Filter</label>
            <input id="filter" type="search" value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.value)} />
          </div>
          <span class="faint" role="status">{rows.length} of {table?.Rows.length ?? 0} entries</span>
        </div>
        <div class="scroll" tabIndex={0} role="region" aria-label="Log entries">
          <table>
            <thead>
              <tr>{table?.Columns.map((name) => <th scope="col" key={name}>{name}</th>)}</tr>
            </thead>
            <tbody>
              {rows.slice(0, 500).map((row) => (
                <tr key={row[0]}>{row.map((cell, at) => <td key={at} class={at === 5 ? 'long' : ''}>{cell}</td>)}</tr>
              ))}
            </tbody>
          </table>
        </div>
        {rows.length > 500 && <p class="faint">The newest 500 are shown; the export has all.</p>}
      </section>
      {may('c') && <BootLog />}
    </>
  );
}
