declare module '@novnc/novnc' {
  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, address: string, options?: { shared?: boolean });
    viewOnly: boolean;
    scaleViewport: boolean;
    focusOnClick: boolean;
    background: string;
    showDotCursor: boolean;
    disconnect(): void;
    focus(): void;
    blur(): void;
    toBlob(callback: (blob: Blob) => void, type?: string): void;
  }
}
