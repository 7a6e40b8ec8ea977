// Inserts an ISO from the user's own computer, and says how its bytes go.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { text, type TargetView } from '../api';
import { feed, feedEnd, startFeed } from '../local_image';
import { may, session } from '../session';
import { Facts } from './target_form';

const megabytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(1)} MB`;

/** `drive` is host_storage_device, with its children. */
export function LocalDrive(props: { drive: TargetView | null; local: TargetView | undefined }): JSX.Element {
  const chosen = useSignal<File | null>(null);
  const now = feed.value;
  const inDrive = text(props.local, 'file');
  const mine = inDrive !== '' && text(props.local, 'session') === session.value?.uri.split('/').pop();
  const size = Number(props.drive?.Properties?.['bytes_read']?.Value ?? 0);
  const start = (event: Event): void => {
    event.preventDefault();
    if (chosen.value) startFeed(chosen.value, mine && inDrive === chosen.value.name);
  };
  return (
    <form class="card fields" aria-labelledby="local" onSubmit={start}>
      <h2 id="local">An image on this computer</h2>
      <div role="status">
        {now ? (
          <>
            <Facts
              rows={[
                ['File', now.file.name],
                ['Connection', { connecting: 'Connecting …', open: 'The host reads from this page', away: 'Reconnecting …' }[now.state]],
                ['Read', `${megabytes(now.sent)} of ${megabytes(now.file.size)}`],
                ['Rate', `${megabytes(now.rate)}/s`],
              ]}
            />
            <progress aria-label="Read by the host" max={now.file.size} value={Math.min(now.sent, now.file.size)} />
            <p>
              Keep this page open. When it is closed, the host waits at its next read until you
              choose the same file here again; logging out ejects it.
            </p>
          </>
        ) : (
          <>
            {feedEnd.value && <p class="away">{feedEnd.value}</p>}
            {mine && (
              <p class="away">
                {inDrive} is in the drive, but this page does not feed it. Choose the same file to go
                on: {megabytes(size)} were read.
              </p>
            )}
          </>
        )}
      </div>
      {!now && (
        <>
          <div class="field">
            <label for="local-file">File</label>
            <input id="local-file" type="file" accept=".iso,.img" disabled={!may('ac')} aria-describedby="local-doc"
              onChange={(event) => (chosen.value = event.currentTarget.files?.[0] ?? null)} />
            <small id="local-doc">
              Nothing is uploaded first: the host reads what it needs, while this page is open.
            </small>
          </div>
          <div class="actions">
            <button class="primary" disabled={!may('ac') || !chosen.value}>
              {mine ? 'Go on' : 'Insert from this computer'}
            </button>
          </div>
        </>
      )}
    </form>
  );
}
