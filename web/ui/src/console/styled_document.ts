/**
 * The document as xterm.js sees it. Its renderer fills <style> elements, which the content security
 * policy forbids; here each is backed by a constructed style sheet, which is no inline style.
 */
export function styledDocument(): { document: Document; dispose: () => void } {
  const sheets: CSSStyleSheet[] = [];
  const createElement = (name: string): HTMLElement => {
    const element = document.createElement(name);
    if (name.toLowerCase() !== 'style') return element;
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    Object.defineProperty(element, 'textContent', {
      set: (text: string) => sheet.replaceSync(text),
      get: () => '',
    });
    return element;
  };
  const proxy = new Proxy(document, {
    get(target, key) {
      if (key === 'createElement') return createElement;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
  const dispose = (): void => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => !sheets.includes(one));
  };
  return { document: proxy, dispose };
}
