import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { run, text, type TargetView } from '../api';
import { useTarget } from '../live';
import { Act, ask, attempt } from '../parts/feedback';
import { Input, TargetForm, title } from '../parts/target_form';
import { may } from '../session';

/** The targets below one that creates and deletes: disks, network cards. */
function Devices(props: { path: string; heading: string; prefix: string }): JSX.Element {
  const { view } = useTarget(props.path, 2);
  const values = useSignal<Record<string, string>>({});
  const verb = view.value?.Description?.Verbs.find((one) => one.Name === 'create');
  const targets = view.value?.Targets ?? [];
  const names = Object.keys(targets[0]?.Properties ?? {});
  const free = (): string => {
    let number = 0;
    while (targets.some((one) => one.Name === props.prefix + number)) ++number;
    return props.prefix + number;
  };
  const remove = async (one: TargetView): Promise<void> => {
    if (await ask('Delete ' + one.Name, 'What is on it is lost. The host must be off.', 'Delete', true))
      await attempt(() => run(one.Path, 'delete'), one.Name + ' is deleted.');
  };
  return (
    <section class="card wide-card" aria-label={props.heading}>
      <h2>{props.heading}</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label={props.heading + ', table'}>
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              {names.map((name) => (
                <th scope="col" key={name}>{title(name)}</th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {targets.map((one) => (
              <tr key={one.Name}>
                <th scope="row">{one.Name}</th>
                {names.map((name) => (
                  <td key={name}>{text(one, name)}</td>
                ))}
                <td>
                  <Act disabled={!may('a')} label={'Delete ' + one.Name} work={() => remove(one)}>Delete</Act>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {verb && (
        <div class="inline-form">
          {verb.Properties.map((about) => (
            <div class="field" key={about.Name}>
              <label for={props.prefix + about.Name}>{title(about.Name)}</label>
              <Input id={props.prefix + about.Name} about={about} disabled={!may(verb.Role)}
                value={values.value[about.Name] ?? ''}
                change={(value) => (values.value = { ...values.value, [about.Name]: value })} />
              <small id={`${props.prefix}${about.Name}-doc`}>{about.Doc}</small>
            </div>
          ))}
          <Act disabled={!may(verb.Role)}
            work={() => attempt(() => run(`${props.path}/${free()}`, 'create', { properties: values.value }), 'Added.')}>
            Add {props.prefix}
          </Act>
        </div>
      )}
    </section>
  );
}

export function Hardware(): JSX.Element {
  const system = useTarget('/System', 1);
  const processors = useTarget('/System/Processors', 1);
  const memory = useTarget('/System/Memory', 1);
  return (
    <>
      <header class="page-head">
        <h1>Hardware</h1>
      </header>
      <p class="faint">What the guest sees. Most of it can be changed while the host is off.</p>
      <div class="grid">
        <section class="card" aria-labelledby="system">
          <h2 id="system">System</h2>
          <TargetForm view={system.view.value} skip={['power_state', 'health', 'health_details']} />
        </section>
        <div class="stack">
          <section class="card" aria-labelledby="cpu">
            <h2 id="cpu">Processors</h2>
            <TargetForm view={processors.view.value} />
          </section>
          <section class="card" aria-labelledby="memory">
            <h2 id="memory">Memory</h2>
            <TargetForm view={memory.view.value} />
          </section>
        </div>
        <Devices path="/System/Storage/Disks" heading="Disks" prefix="disk" />
        <Devices path="/System/Networking/Ethernet_NICs" heading="Network cards" prefix="net" />
      </div>
    </>
  );
}
