import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** lom-web serves NAME.gz to whoever takes gzip: made once, here. */
function gzipped(): Plugin {
  return {
    name: 'gzipped',
    // Of what was written: until then Vite still puts names in.
    async writeBundle(options, bundle) {
      for (const name of Object.keys(bundle)) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const path = join(options.dir ?? 'dist', name);
        await writeFile(path + '.gz', gzipSync(await readFile(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  // The content security policy has no place for inline code or foreign hosts.
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  plugins: [gzipped()],
});
