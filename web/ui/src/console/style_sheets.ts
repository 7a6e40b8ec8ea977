/**
 * xterm.js fills <style> elements, which the content security policy forbids. Those it makes while
 * `open` runs are backed by constructed style sheets instead, which are no inline style.
 * Returns what takes the sheets away again.
 */
export function withStyleSheets(open: () => void): () => void {
  const sheets: CSSStyleSheet[] = [];
  const original = document.createElement;
  const create = (name: string): HTMLElement => {
    if (name.toLowerCase() !== 'style') return original.call(document, name);
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const stand = original.call(document, 'template');
    Object.defineProperty(stand, 'textContent', {
      set: (text: string) => sheet.replaceSync(text),
      get: () => '',
    });
    return stand;
  };
  document.createElement = create as typeof document.createElement;
  try {
    open();
  } finally {
    document.createElement = original;
  }
  return () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => !sheets.includes(one));
  };
}
