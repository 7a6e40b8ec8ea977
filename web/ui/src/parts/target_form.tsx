// A target of the tree as a form: the description that the shell's help is made of makes the fields.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { set, type PropertyDescription, type TargetView } from '../api';
import { may } from '../session';
import { ask, attempt } from './feedback';

const short = /\b(uuid|mac|uri|ssh|ip|cpu)(?=s?\b)/gi;

/** boot_device -> Boot device */
export function title(name: string): string {
  const words = name.replace(/_/g, ' ').replace(short, (word) => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function Facts(props: { rows: [string, JSX.Element | string][] }): JSX.Element {
  return (
    <dl class="facts">
      {props.rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === '' ? <span class="faint">none</span> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Input(props: {
  id: string;
  about: PropertyDescription;
  value: string;
  disabled?: boolean;
  change: (value: string) => void;
}): JSX.Element {
  const { about } = props;
  const common = {
    id: props.id,
    disabled: props.disabled,
    'aria-describedby': props.id + '-doc',
  };
  const changed = (event: Event): void =>
    props.change((event.currentTarget as HTMLInputElement).value);
  if (about.Values.length > 0)
    return (
      <select {...common} value={props.value} onChange={changed}>
        {!about.Values.includes(props.value) && <option value={props.value}>{props.value}</option>}
        {about.Values.map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </select>
    );
  if (/script|certificate|publickey|ssh_key|banner|message$/.test(about.Name))
    return <textarea {...common} rows={3} spellcheck={false} value={props.value} onInput={changed} />;
  return (
    <input
      {...common}
      type={(about.Secret ? 'password' : 'text') as 'text'}
      autocomplete={about.Secret ? 'new-password' : 'off'}
      spellcheck={false}
      value={props.value}
      onInput={changed}
    />
  );
}

/** What can be set, and beside it what can only be read. `only` and `skip` are names. */
export function TargetForm(props: {
  view: TargetView | null;
  only?: string[];
  skip?: string[];
  save?: string;
  saved?: () => void;
}): JSX.Element | null {
  const edits = useSignal<Record<string, string>>({});
  const busy = useSignal(false);
  const { view } = props;
  if (!view?.Description) return <p class="faint">Reading …</p>;
  const about = view.Description.Properties.filter(
    (one) => (!props.only || props.only.includes(one.Name)) && !props.skip?.includes(one.Name),
  );
  const current = (one: PropertyDescription): string => {
    const value = view.Properties?.[one.Name];
    return !value || value.Value === null || one.Secret ? '' : value.Text;
  };
  const fields = about.filter((one) => one.WriteRole !== '' && one.Readable);
  const actions = about.filter((one) => one.WriteRole !== '' && !one.Readable);
  const shown = about.filter((one) => one.WriteRole === '');
  const id = (one: PropertyDescription): string =>
    `${view.Path.replace(/\//g, '-').slice(1)}-${one.Name}`;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    for (const one of fields)
      if (one.Name in edits.value && one.Question && !(await ask(title(one.Name), one.Question + '?', 'Set')))
        return;
    busy.value = true;
    if (await attempt(() => set(view.Path, edits.value), 'Saved.')) {
      edits.value = {};
      props.saved?.();
    }
    busy.value = false;
  };
  return (
    <form class="fields" onSubmit={(event) => void save(event)}>
      {shown.length > 0 && <Facts rows={shown.map((one) => [title(one.Name), current(one)])} />}
      {fields.map((one) => (
        <div class="field" key={one.Name}>
          <label for={id(one)}>{title(one.Name)}</label>
          <Input
            id={id(one)}
            about={one}
            disabled={!may(one.WriteRole)}
            value={edits.value[one.Name] ?? current(one)}
            change={(value) => {
              edits.value = { ...edits.value, [one.Name]: value };
            }}
          />
          <small id={id(one) + '-doc'}>{one.Doc}</small>
        </div>
      ))}
      {fields.length > 0 && (
        <div class="actions">
          <button
            class="primary"
            disabled={busy.value || Object.keys(edits.value).length === 0}
            aria-busy={busy.value}
          >
            {props.save ?? 'Save'}
          </button>
        </div>
      )}
      {actions.map((one) => (
        <Order key={one.Name} path={view.Path} about={one} id={id(one)} />
      ))}
    </form>
  );
}

/** A property that is only ever set: a button, with a field where it takes a value. */
function Order(props: { path: string; about: PropertyDescription; id: string }): JSX.Element {
  const { about } = props;
  const only = about.Type === 'boolean' ? 'true' : about.Values.length === 1 ? about.Values[0] : null;
  const value = useSignal(only ?? about.Values[0] ?? '');
  const go = async (): Promise<void> => {
    const sentence = about.Question ? about.Question + '?' : about.Doc;
    if (!(await ask(title(about.Name), sentence, 'Do it'))) return;
    if (await attempt(() => set(props.path, { [about.Name]: value.value }), 'Done.'))
      if (only === null) value.value = '';
  };
  return (
    <div class="field order">
      {only === null ? (
        <>
          <label for={props.id}>{title(about.Name)}</label>
          <Input id={props.id} about={about} value={value.value} change={(text) => (value.value = text)} />
        </>
      ) : null}
      <button type="button" disabled={!may(about.WriteRole) || !value.value} onClick={() => void go()}>
        {only === null ? 'Set' : title(about.Name)}
      </button>
      <small id={props.id + '-doc'}>{about.Doc}</small>
    </div>
  );
}
