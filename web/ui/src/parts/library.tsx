// The image library: images that lie on the service processor's own machine.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { run, text, type TargetView } from '../api';
import { useTarget } from '../live';
import { may } from '../session';
import { drives, InsertDialog, library } from './drive';
import { Act, ask, attempt, Problem } from './feedback';

const librarian = 'ac';

function megabytes(bytes: string): string {
  return bytes ? `${Math.round(Number(bytes) / (1 << 20))} MB` : '';
}

/** The drives' own names for what lomd calls them. */
function users(image: TargetView): string {
  const paths = text(image, 'in_use_by').split(', ');
  return paths.map((path) => drives.find((drive) => drive.path === path)?.name ?? path).join(', ');
}

function Images(props: { images: TargetView[]; insert: (path: string) => void }): JSX.Element {
  const remove = async (image: TargetView, loading: boolean): Promise<void> => {
    const sentence = loading ? 'What has come of it is thrown away.' : 'The image is deleted from this service processor.';
    if (await ask(`Delete ${image.Name}`, sentence, 'Delete', true)) await attempt(() => run(image.Path, 'delete'));
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Images of the library">
      <table>
        <thead>
          <tr>
            <th scope="col">Image</th>
            <th scope="col">Volume</th>
            <th scope="col">Size</th>
            <th scope="col">Status</th>
            <th scope="col">In use by</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {props.images.map((image) => {
            const loading = text(image, 'status') === 'loading';
            return (
              <tr key={image.Name}>
                <th scope="row">{image.Name}</th>
                <td>{text(image, 'volume_id')}</td>
                <td>{megabytes(text(image, 'size'))}</td>
                <td>
                  {text(image, 'status')} {text(image, 'progress')}
                </td>
                <td class="wraps">{users(image)}</td>
                <td class="actions">
                  <button type="button" disabled={!may(librarian) || loading} aria-label={`Insert ${image.Name}`}
                    onClick={() => props.insert(image.Path)}>
                    Insert …
                  </button>
                  <Act disabled={!may(librarian)} label={`Delete ${image.Name}`} work={() => remove(image, loading)}>
                    Delete
                  </Act>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Load(): JSX.Element {
  const source = useSignal('');
  const password = useSignal('');
  const busy = useSignal(false);
  const load = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    const properties: Record<string, unknown> = { source: source.value };
    if (password.value) properties.password = password.value;
    if (await attempt(() => run(library, 'load', { properties }))) source.value = password.value = '';
    busy.value = false;
  };
  return (
    <form class="inline-form" aria-label="Load an image" onSubmit={(event) => void load(event)}>
      <div class="field grow">
        <label for="library-source">Load from</label>
        <input id="library-source" value={source.value} disabled={!may(librarian)} spellcheck={false}
          placeholder="sftp://user@server/path/image.iso" aria-describedby="library-doc"
          onInput={(event) => (source.value = event.currentTarget.value)} />
      </div>
      <div class="field">
        <label for="library-password">Password there</label>
        <input id="library-password" type="password" value={password.value} disabled={!may(librarian)}
          autocomplete="new-password" onInput={(event) => (password.value = event.currentTarget.value)} />
      </div>
      <button disabled={!may(librarian) || !source.value || busy.value} aria-busy={busy.value}>Load</button>
    </form>
  );
}

export function Library(): JSX.Element {
  const { view, error } = useTarget(library, 2);
  const chosen = useSignal('');
  const images = view.value?.Targets ?? [];
  return (
    <section class="card library" aria-labelledby="library">
      <h2 id="library">
        Image library
        {view.value && (
          <span class="badge">
            {text(view.value, 'used')} used, {text(view.value, 'available')} free
          </span>
        )}
      </h2>
      <Problem text={error.value} />
      {images.length > 0 && <Images images={images} insert={(path) => (chosen.value = path)} />}
      <Load />
      <p class="faint small" id="library-doc">
        sftp:// or http(s)://. Or copy images here: <code>scp IMAGE.iso {'USER@' + location.hostname}:</code>
      </p>
      {chosen.value && <InsertDialog drive={drives[0]} image={chosen.value} close={() => (chosen.value = '')} />}
    </section>
  );
}
