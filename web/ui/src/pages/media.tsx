import type { JSX } from 'preact';
import { child } from '../api';
import { useTarget } from '../live';
import { DriveCard, drives } from '../parts/drive';
import { Library } from '../parts/library';
import { LocalDrive } from '../parts/local_drive';

export function Media(): JSX.Element {
  const { view } = useTarget(drives[0].path, 2);
  return (
    <>
      <header class="page-head">
        <h1>Media</h1>
      </header>
      <div class="grid">
        {drives.map((drive) => (
          <DriveCard key={drive.id} drive={drive} />
        ))}
        <LocalDrive drive={view.value} local={child(view.value, 'local')} />
        <Library />
      </div>
    </>
  );
}
