// The serial console: the same hub and the same write seat as the shell's `start /SP/console`.
import { useSignal } from '@preact/signals';
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { rawText } from '../api';
import { Act, attempt } from '../parts/feedback';
import { saveFile } from '../parts/files';
import { useTarget } from '../live';
import { Presence, SeatButtons, SeatQuestion } from './seat';
import { againAfter, socketAddress } from './socket';
import { withStyleSheets } from './style_sheets';

interface Notice {
  type: 'attached' | 'writer' | 'skipped' | 'stopped';
  offset?: number;
  bytes?: number;
  write?: boolean;
  writer?: string;
  reason?: string;
}

const largest = 13; // px

type State = 'connecting' | 'open' | 'away' | 'ended';

/** A connection that goes on where it was cut. */
class SerialLine {
  state: (state: State, reason: string) => void = () => {};
  writer: (write: boolean, who: string) => void = () => {};
  private socket: WebSocket | null = null;
  private offset: number | null = null;
  private timer = 0;
  private closed = false;
  private replaying = true;
  private quiet = 0;

  constructor(private readonly terminal: Terminal) {}

  open(force: boolean): void {
    clearTimeout(this.timer);
    this.socket?.close();
    // At first from the oldest byte kept: the history; later from where it was cut.
    const resumed = this.offset === null ? '' : '&resumed=1';
    const query = `?offset=${this.offset ?? 0}${resumed}${force ? '&force=1' : ''}`;
    const socket = new WebSocket(socketAddress('/console/serial' + query));
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.hold();
    socket.onmessage = (message) => {
      if (typeof message.data === 'string') this.notice(JSON.parse(message.data) as Notice);
      else this.bytes(new Uint8Array(message.data as ArrayBuffer));
    };
    socket.onclose = (event) => {
      if (socket !== this.socket || this.closed) return;
      this.writer(false, '');
      if (event.code === 1008) return this.state('ended', 'The session has ended. Log in again.');
      this.state('away', '');
      this.timer = window.setTimeout(() => this.open(false), againAfter);
    };
  }

  /** What the history asks a terminal is not to be answered now. */
  private hold(): void {
    this.replaying = true;
    clearTimeout(this.quiet);
    this.quiet = window.setTimeout(() => (this.replaying = false), 250);
  }

  private bytes(data: Uint8Array): void {
    if (this.offset !== null) this.offset += data.length;
    if (this.replaying) this.hold();
    this.terminal.write(data);
  }

  private notice(notice: Notice): void {
    if (notice.type === 'attached') {
      this.offset = notice.offset ?? 0;
      this.state('open', '');
    }
    if (notice.type === 'skipped' && this.offset !== null) this.offset += notice.bytes ?? 0;
    if (notice.type === 'attached' || notice.type === 'writer')
      this.writer(notice.write ?? false, notice.writer ?? '');
    if (notice.type === 'stopped') {
      this.closed = true;
      this.state('ended', notice.reason ?? '');
    }
  }

  /** An answer of the terminal itself during the replay is dropped, a key is not. */
  input(data: string): void {
    if (this.replaying && data.startsWith('\x1b')) return;
    if (this.socket?.readyState === WebSocket.OPEN)
      this.socket.send(new TextEncoder().encode(data));
  }

  sendBreak(): void {
    this.socket?.send('{"type":"break"}');
  }

  again(): void {
    this.closed = false;
    this.open(false);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.quiet);
    this.socket?.close();
  }
}

export function Serial(): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const line = useRef<SerialLine | null>(null);
  const search = useRef<SearchAddon | null>(null);
  const terminal = useRef<Terminal | null>(null);
  const state = useSignal<State>('connecting');
  const reason = useSignal('');
  const write = useSignal(false);
  const writer = useSignal('');
  const wanted = useSignal('');

  useEffect(() => {
    const screen = new Terminal({
      fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: largest,
      scrollback: 20_000,
      screenReaderMode: true,
      allowProposedApi: true,
      theme: { background: '#0b0f14', foreground: '#d7dde5', cursor: '#7ee787' },
    });
    const fit = new FitAddon();
    search.current = new SearchAddon();
    screen.loadAddon(fit);
    screen.loadAddon(search.current);
    const unstyle = withStyleSheets(() => screen.open(place.current!));
    terminal.current = screen;
    const serial = new SerialLine(screen);
    line.current = serial;
    serial.state = (now, why) => {
      state.value = now;
      reason.value = why;
    };
    serial.writer = (mine, who) => {
      write.value = mine;
      writer.value = who;
    };
    screen.onData((data) => serial.input(data));
    // Ctrl-Shift-C copies; the browser's own keys paste. Ctrl-Shift-F6 leaves the terminal: the
    // Tab key belongs to the guest.
    screen.attachCustomKeyEventHandler((event) => {
      if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey) return true;
      if (event.code === 'KeyC') {
        event.preventDefault();
        void navigator.clipboard?.writeText(screen.getSelection());
        return false;
      }
      if (event.code === 'F6') {
        document.getElementById('serial-search')?.focus();
        return false;
      }
      return true;
    });
    const observer = new ResizeObserver(() => {
      // Guests take a serial line for 80 columns wide: rather smaller letters than fewer of them.
      screen.options.fontSize = largest;
      const columns = fit.proposeDimensions()?.cols ?? 80;
      if (columns < 80) screen.options.fontSize = Math.max(7, Math.floor((largest * columns) / 40) / 2);
      fit.fit();
    });
    observer.observe(place.current!);
    serial.open(false);
    return () => {
      observer.disconnect();
      serial.close();
      screen.dispose();
      unstyle();
    };
  }, []);

  const paste = async (): Promise<void> => {
    await attempt(async () => {
      terminal.current?.paste(await navigator.clipboard.readText());
    });
    terminal.current?.focus();
  };
  const download = async (): Promise<void> => {
    saveFile('serial-console.log', 'text/plain', await rawText('/HOST/console/history'));
  };
  const open = state.value === 'open';
  const { view } = useTarget('/HOST/console', 1);
  const seat = { path: '/HOST/console', name: 'the serial console', view: view.value, mine: write.value } as const;
  return (
    <section class="console" aria-labelledby="serial-title">
      <div class="console-bar">
        <h2 id="serial-title">Serial</h2>
        <span role="status" class={write.value ? 'badge good' : 'badge'}>
          {!open
            ? { connecting: 'Connecting …', away: 'Reconnecting …', ended: 'Ended', open: '' }[state.value]
            : write.value
              ? 'You type'
              : writer.value
                ? `${writer.value} types`
                : 'View only'}
        </span>
        {open && <SeatButtons {...seat} take={() => line.current?.open(true)} />}
        {state.value === 'ended' && <button onClick={() => line.current?.again()}>Connect again</button>}
        <span class="grow" />
        <input id="serial-search" type="search" placeholder="Search" aria-label="Search in the serial console"
          value={wanted.value}
          onInput={(event) => {
            wanted.value = event.currentTarget.value;
            search.current?.findPrevious(wanted.value, { incremental: true });
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            if (event.shiftKey) search.current?.findNext(wanted.value);
            else search.current?.findPrevious(wanted.value);
          }} />
        <Act disabled={!write.value} work={paste}>Paste</Act>
        <button disabled={!write.value} onClick={() => line.current?.sendBreak()}>Break</button>
        <Act work={() => attempt(download)}>Log</Act>
      </div>
      {reason.value && <p class="away">{reason.value}</p>}
      <SeatQuestion {...seat} />
      <div class="terminal" ref={place} />
      <div class="console-foot faint small">
        <span>Ctrl+Shift+F6 leaves the terminal, Ctrl+Shift+C copies.</span>
        <Presence view={view.value} name="the console" />
      </div>
    </section>
  );
}
