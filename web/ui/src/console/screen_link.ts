// noVNC on /console/screen; it comes again by itself.
import RFB from '@novnc/novnc';
import { againAfter, socketAddress } from './socket';

export type ScreenState = 'connecting' | 'open' | 'away';

export class ScreenLink {
  rfb: RFB | null = null;
  state: (state: ScreenState) => void = () => {};
  private timer = 0;
  private closed = false;

  constructor(
    private readonly place: HTMLElement,
    private readonly access: 'view' | 'control',
  ) {}

  open(force: boolean): void {
    clearTimeout(this.timer);
    const old = this.rfb;
    this.rfb = null;
    old?.disconnect();
    this.place.replaceChildren();
    const query = `?access=${this.access}${force ? '&force=1' : ''}`;
    const rfb = new RFB(this.place, socketAddress('/console/screen' + query), { shared: true });
    this.rfb = rfb;
    rfb.scaleViewport = true;
    rfb.viewOnly = this.access === 'view';
    rfb.showDotCursor = this.access === 'control';
    rfb.background = 'transparent';
    // What cannot be reached with the keyboard alone would be a trap for it.
    this.place.querySelector('canvas')?.setAttribute('aria-label', 'Screen of the host');
    this.place.querySelector('canvas')?.setAttribute('role', 'img');
    if (this.access === 'view') this.place.querySelector('canvas')?.setAttribute('tabindex', '-1');
    this.state('connecting');
    rfb.addEventListener('connect', () => this.state('open'));
    rfb.addEventListener('disconnect', () => {
      if (rfb !== this.rfb || this.closed) return;
      this.state('away');
      this.timer = window.setTimeout(() => this.open(false), againAfter);
    });
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.rfb?.disconnect();
  }
}
